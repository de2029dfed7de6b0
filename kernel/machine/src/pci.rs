//! PCI configuration through its two ports, and the search for a device behind any bridge.
//!
//! Ports instead of memory-mapped configuration, because they exist on every PC that QEMU models and need no tables of
//! the firmware.

use virtio_drivers::transport::pci::bus::{
    Command, ConfigurationAccess, DeviceFunction, DeviceFunctionInfo, HeaderType, PciRoot,
};
use x86_64::instructions::port::Port;

const ADDRESS_PORT: u16 = 0xcf8;
const DATA_PORT: u16 = 0xcfc;
const ENABLE: u32 = 1 << 31;
/// Registers of the configuration header, as offsets.
const BUS_NUMBERS: u8 = 0x18;
const INTERRUPT: u8 = 0x3c;
/// Buses a search visits; a damaged bridge could otherwise send it in circles.
const MAX_BUSES: usize = 64;

/// The two configuration ports.
pub(crate) struct PortAccess;

fn select(device: DeviceFunction, offset: u8) -> Port<u32> {
    let address = ENABLE
        | u32::from(device.bus) << 16
        | u32::from(device.device) << 11
        | u32::from(device.function) << 8
        | u32::from(offset & !0b11);
    // SAFETY: selecting a register changes nothing but the selection.
    unsafe { Port::new(ADDRESS_PORT).write(address) };
    Port::new(DATA_PORT)
}

impl ConfigurationAccess for PortAccess {
    fn read_word(&self, device: DeviceFunction, offset: u8) -> u32 {
        // SAFETY: reading configuration space has no side effects.
        crate::cpu::without_interrupts(|| unsafe { select(device, offset).read() })
    }

    fn write_word(&mut self, device: DeviceFunction, offset: u8, data: u32) {
        // SAFETY: callers in this crate and in `virtio-drivers` write command registers and BARs of devices they own.
        crate::cpu::without_interrupts(|| unsafe { select(device, offset).write(data) });
    }

    unsafe fn unsafe_clone(&self) -> Self {
        Self
    }
}

/// The root of the machine's buses.
pub(crate) fn root() -> PciRoot<PortAccess> {
    PciRoot::new(PortAccess)
}

/// The first device, in order of buses, for which `wanted` answers with something.
pub(crate) fn find<R>(
    mut wanted: impl FnMut(DeviceFunction, &DeviceFunctionInfo) -> Option<R>,
) -> Option<R> {
    let root = root();
    let mut buses = [0u8; MAX_BUSES];
    let mut known = 1;
    let mut next = 0;
    while next < known {
        for (device, information) in root.enumerate_bus(buses[next]) {
            if let Some(found) = wanted(device, &information) {
                return Some(found);
            }
            if information.header_type == HeaderType::PciPciBridge && known < MAX_BUSES {
                let [_, secondary, ..] = PortAccess.read_word(device, BUS_NUMBERS).to_le_bytes();
                if !buses[..known].contains(&secondary) {
                    buses[known] = secondary;
                    known += 1;
                }
            }
        }
        next += 1;
    }
    None
}

/// Lets a device decode its addresses, access memory by itself and interrupt.
pub(crate) fn enable(device: DeviceFunction) {
    let mut root = root();
    let (_, command) = root.get_status_command(device);
    let command = command | Command::IO_SPACE | Command::MEMORY_SPACE | Command::BUS_MASTER;
    root.set_command(device, command & !Command::INTERRUPT_DISABLE);
}

/// Takes a device's right to access memory by itself.
pub(crate) fn silence(device: DeviceFunction) {
    let mut root = root();
    let (_, command) = root.get_status_command(device);
    root.set_command(device, command & !Command::BUS_MASTER);
}

/// The interrupt controllers' line that the firmware wired the device to, if any.
pub(crate) fn interrupt_line(device: DeviceFunction) -> Option<u8> {
    let [line, ..] = PortAccess.read_word(device, INTERRUPT).to_le_bytes();
    (line > 0 && line < 16).then_some(line)
}
