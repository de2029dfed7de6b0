# The front door. `make` alone prints this help; each target says what it does before it does it.
# Logic stands in scripts/ (shell) and tests/ (Rust); here are only names.
.DEFAULT_GOAL := help
.PHONY: help setup doctor check test long fuzz demo run repl bench bench-linux sim gdb image clean
SEED ?= 1
MEMORY ?= 256M
PROGRAM ?= samples/demo.ts
DISK ?= build/run-$(basename $(notdir $(PROGRAM))).img

help: ## this list
	@echo "Revenant: an operating system whose programs do not notice power cuts."
	@echo
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1|\2/p' $(MAKEFILE_LIST) | column -t -s '|'
	@echo
	@echo "Start with 'make demo' (installs what is missing) or 'make check' (needs only Rust)."

setup: ## install what this machine lacks: QEMU, Rust for the kernel's target; nothing else is changed
	@scripts/setup.sh

doctor: ## name everything that is missing, and the command that brings it
	@scripts/doctor.sh

check: ## the host part of the tests, some three minutes once built: fmt, clippy, cargo test, tidy
	@scripts/test.sh check

test: setup ## everything CI runs: the host part, then the machine in QEMU
	@scripts/test.sh all

demo: setup ## boot, run real programs, cut the power, resume; several times; show that nothing was lost
	@scripts/demo.sh

run: setup ## the same machine for a person: a console on this terminal (PROGRAM=samples/notes.rasm DISK=build/run.img)
	@scripts/run.sh "$(DISK)" "$(MEMORY)" "$(PROGRAM)"

repl: ## a session in the language of programs on this machine, without persistence: expressions, functions, classes (LANGUAGE.md)
	@scripts/host-cargo run --quiet --release -p revenant-tools -- repl

bench: setup ## measure: host and QEMU, one table with the bars, and lines `metric NAME VALUE UNIT`
	@scripts/bench.sh

bench-linux: setup ## the same operations in Debian's stock kernel under the same QEMU, side by side
	@scripts/bench-linux.sh

fuzz: ## a million mutated modules against decoder, verifier and a checking machine (minutes)
	scripts/host-cargo test --release -p revenant-bytecode --test fuzz -- --ignored --nocapture

long: setup ## half an hour of mixed work on a heap of 4 GiB in 64 MiB of memory, the power cut now and then, all of it verified
	@scripts/long.sh

sim: ## pages, snapshots and disk on simulated hardware that misbehaves: make sim SEED=7
	@scripts/sim.sh "$(SEED)"

gdb: setup ## the machine, stopped at its first instruction, with a debugger attached
	@scripts/gdb.sh "$(DISK)"

image: setup ## only build the boot images: build/revenant-bios.img, build/revenant-uefi.img
	@scripts/image.sh

clean: ## remove what was built (not what was installed)
	rm -rf target build
