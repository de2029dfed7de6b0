//! Reports of object spaces that programs have filled here: the sums are right, the ways lead where they say, damage costs nothing but itself.

use super::census::Census;
use super::figures::{self, Figures, age_class, object_of};
use super::graph::{self, Graph, NONE, State, Traced, circles, node};
use super::{LISTED, Report, page};
use crate::modules::load_all;
use core::convert::Infallible;
use revenant_hal::{Epoch, Nanoseconds, ObjectAddress, PAGE_SIZE_U64, PageBytes, PageIndex};
use revenant_vm::memory::layout::area;
use revenant_vm::memory::{HostSpace, Space};
use revenant_vm::script::{Host, Script};
use revenant_vm::{Creation, Vm, class_name, name_way, title_of};
use std::path::Path;

const EPOCH: Epoch = Epoch(7);

struct Memory;

impl Host for Memory {
    type Error = Infallible;

    fn whole<V>(&mut self, attempt: impl FnOnce() -> V) -> Result<V, Infallible> {
        Ok(attempt())
    }

    fn print(&mut self, _: &[u8]) {}
}

/// Runs a program of this repository for so many turns.
fn ran(program: &str, turns: u64) -> (HostSpace, Vm) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(program);
    let files = load_all(&[path]).expect("the program is sound");
    let modules: Vec<&[u8]> = files.iter().map(Vec::as_slice).collect();
    let host = HostSpace::take().expect("the range is free");
    let mut script = Script::new(EPOCH);
    let creation = Creation { modules: &modules, arguments: &[], epoch: EPOCH };
    let mut vm = Vm::create(&creation, &mut script).expect("there is memory");
    let Ok(()) = script.run(&mut vm, turns, &mut Memory);
    (host, vm)
}

/// The pages that hold something.
fn pages(host: &HostSpace) -> Vec<PageIndex> {
    let touched = host.touched().into_iter().flat_map(|range| range.start.0..range.end.0);
    touched.map(PageIndex).filter(|page| host.page(*page) != PageBytes::ZERO).collect()
}

fn taken(space: Space, pages: &[PageIndex]) -> (Census, Traced, Figures) {
    let census = Census::take(space, pages.iter().copied());
    let traced = graph::trace(space, &census).expect("there are few objects");
    let figures = figures::take(&census, &traced, EPOCH.0, LISTED);
    (census, traced, figures)
}

fn drawn(space: Space, census: &Census, traced: &Traced, figures: Figures) -> String {
    page::page(&Report {
        image: "a<b>.img".to_owned(),
        epoch: EPOCH,
        wall_time: Nanoseconds(0),
        newest: true,
        damaged: 0,
        space,
        census,
        traced,
        figures,
        snapshots: Vec::new(),
    })
}

#[test]
fn garbage_in_circles_is_told_from_what_hangs_from_it_and_everything_adds_up() {
    let (host, _vm) = ran("tests/tests/cycles.rasm", 40_000);
    let (census, traced, figures) = taken(host.space(), &pages(&host));
    let found = &figures.garbage;
    assert!(found.circles > 20, "{found:?}");
    // Rings of two nodes with an array each; no ring is in the making at the end of a turn but perhaps one.
    assert_eq!(found.cyclic.objects, 2 * u64::from(found.circles), "{found:?}");
    assert_eq!(found.hanging.objects, found.cyclic.objects, "{found:?}");
    assert_eq!((found.other.objects, found.largest), (0, 2));
    let node_class = figures
        .classes
        .iter()
        .find(|(class, _)| class_name(host.space(), **class) == "cycles.Node");
    let (_, nodes) = node_class.expect("there are nodes");
    assert!((1000..1005).contains(&nodes.live.objects), "{nodes:?}");
    assert_eq!(nodes.garbage.objects, found.cyclic.objects);
    assert!(
        nodes.in_degree() > 1.9 && nodes.in_degree() < 2.1,
        "one from the array, one in the ring"
    );
    // Every byte of every page, once.
    let totals = figures.totals;
    let sum = totals.live + totals.waiting + totals.garbage + totals.unused;
    let sum = sum + totals.free + totals.stacks + totals.system;
    assert_eq!(sum, census.pages.len() as u64 * PAGE_SIZE_U64);
    let classes = figures.classes.values();
    let live = classes.clone().map(|class| class.live.objects).sum::<u64>();
    assert_eq!(live, figures.live.objects);
    let all = live + figures.waiting.objects + found.cyclic.objects + found.hanging.objects;
    assert_eq!(all, census.objects.len() as u64);
    assert_eq!((traced.dangling, census.unsound), (0, 0));
    let largest = figures.largest.first().and_then(|number| object_of(&census, *number));
    assert_eq!(largest.map(|object| object.bytes), census.objects.iter().map(|o| o.bytes).max());
    let html = drawn(host.space(), &census, &traced, figures);
    assert!(html.contains("cycles.Node") && html.contains("<h1>Heap of a&lt;b&gt;.img</h1>"));
}

#[test]
fn accounts_of_collections_are_shown_whatever_they_say() {
    let (host, mut vm) = ran("tests/tests/cycles.rasm", 1_000);
    let whole = "epoch=41 objects=2375 bytes=4096 in_degree=1.44 freed=1024 freed_bytes=2048 circles=1000 classes=8:512:99,256:1:2";
    for text in
        [whole, "", "epoch== classes=<b>:,, in_degree=<script>", "objects=99999999999999999999"]
    {
        let kept = vm.keep_account(text, &mut Script::new(EPOCH));
        assert_eq!(kept, Some(Ok(())));
    }
    let (census, traced, figures) = taken(host.space(), &pages(&host));
    let html = drawn(host.space(), &census, &traced, figures);
    let row = "41</th><td>2,375</td><td>4.0 KiB</td><td>1.44</td><td>1,024</td><td>2.0 KiB</td><td>1,000</td><td>LongArray</td>";
    assert!(html.contains(row), "{html}");
    assert!(html.contains("<td>&lt;script&gt;</td>") && !html.contains("<script"));
}

#[test]
fn a_subtree_is_what_goes_when_its_holder_goes() {
    let (host, _vm) = ran("tests/tests/cycles.rasm", 20_000);
    let (census, traced, figures) = taken(host.space(), &pages(&host));
    for holder in figures.holders.iter().take(6) {
        // What can be reached without it.
        let (mut seen, mut stack) = (vec![false; traced.states.len()], vec![0_u32]);
        seen[holder.node as usize] = true;
        while let Some(next) = stack.pop() {
            for target in traced.graph.of(next) {
                if !core::mem::replace(&mut seen[*target as usize], true) {
                    stack.push(*target);
                }
            }
        }
        let mut kept = 0;
        for (place, object) in census.objects.iter().enumerate() {
            let number = node(place);
            let live = traced.states[number as usize] == State::Live;
            if live && (number == holder.node || !seen[number as usize]) {
                kept += object.bytes;
            }
        }
        assert_eq!(kept, holder.retained, "{holder:?}");
    }
}

#[test]
fn paths_lead_to_the_objects_they_name() {
    let (host, vm) = ran("samples/medley.rasm", 3_000);
    let space = host.space();
    let (census, traced, _) = taken(space, &pages(&host));
    let (mut named, mut live) = (0, 0);
    for (place, object) in census.objects.iter().enumerate() {
        let mut way = Vec::new();
        let mut next = node(place);
        while let Some(object) = object_of(&census, next) {
            way.push(ObjectAddress(object.address));
            next = traced.before[next as usize];
        }
        if next == NONE {
            assert_ne!(traced.states[node(place) as usize], State::Live);
            continue;
        }
        live += 1;
        way.reverse();
        let found = name_way(space, &way);
        if found.whole && !found.path.is_empty() {
            named += 1;
            let said = vm.inspect(&found.path).unwrap_or_else(|error| panic!("{found:?}: {error}"));
            let title = title_of(space, ObjectAddress(object.address));
            assert_eq!(said.lines().next(), title.lines().next(), "{found:?}");
        }
    }
    assert!(named * 3 > live, "{named} of {live} have a path");
}

#[test]
fn damage_anywhere_is_no_reason_to_stop() {
    let seed = std::env::var("SEED").ok().and_then(|text| text.parse().ok()).unwrap_or(1_u64);
    println!("SEED={seed}");
    let (host, vm) = ran("samples/medley.rasm", 2_000);
    drop(vm);
    let space = host.space();
    let pages = pages(&host);
    let whole: Vec<PageBytes> = pages.iter().map(|page| host.page(*page)).collect();
    let mut state = seed;
    let mut random = |below: usize| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (state >> 33) % below as u64
    };
    for _ in 0..60 {
        host.clear();
        for (page, bytes) in pages.iter().zip(&whole) {
            host.set_page(*page, bytes);
        }
        for _ in 0..1 + random(60) {
            let page = pages[usize::try_from(random(pages.len())).expect("small")];
            let place = ObjectAddress(page.address().0 + random(512) * 8);
            let wrong = match random(4) {
                0 => u64::MAX,
                1 => area::HEAP + random(1 << 22) * 16,
                2 => random(1 << 20),
                _ => random(1 << 31) << random(33),
            };
            match random(3) {
                0 => space.store(place, wrong.to_le_bytes()[0]),
                _ => space.store(place, wrong),
            }
        }
        let (census, traced, figures) = taken(space, &pages);
        let html = drawn(space, &census, &traced, figures);
        assert!(html.ends_with("</html>\n"));
    }
}

#[test]
fn circles_are_found_however_they_hang_together() {
    // 1 and 2 are one circle, 3 refers to itself, 4 hangs from 1, 5 leads to 1; 6 to 8 are a circle that is live.
    let lists =
        vec![vec![6], vec![2, 4], vec![1, 2], vec![3], vec![], vec![1], vec![7], vec![8], vec![6]];
    let graph = Graph::from_lists(lists);
    let mut states = vec![State::Garbage; 9];
    for live in [0, 6, 7, 8] {
        states[live] = State::Live;
    }
    let found = circles(&graph, &states);
    assert_eq!(found.count, 2);
    assert!(found.of[1] == found.of[2] && found.of[1] != found.of[3] && found.of[3] != NONE);
    assert!([0, 4, 5, 6, 7, 8].into_iter().all(|node: usize| found.of[node] == NONE));
}

#[test]
fn ages_stand_in_powers_of_two() {
    let classes = [0, 1, 2, 3, 4, 7, 8, u64::MAX].map(age_class);
    assert_eq!(classes, [0, 1, 2, 2, 3, 3, 4, 48]);
}
