//! The card's PCI configuration space: a type 0 header, power management, PCI Express and MSI-X capabilities, as the
//! NetTLP card on its KC705 board shows them (Xilinx 7-series integrated block, Gen 2 x4).

use crate::wire::{ConfigurationCommand, ConfigurationRepr};

use super::AdapterOptions;

/// A register: its double word, its value after reset, and the bits that a write changes.
struct Register {
    dword: u16,
    value: u32,
    writable: u32,
}

const fn register(offset: u16, value: u32, writable: u32) -> Register {
    Register {
        dword: offset / 4,
        value,
        writable,
    }
}

/// Offset of Device Control in the PCI Express capability below, in bytes.
const DEVICE_CONTROL: u16 = 0x68;
/// Offset of Link Control, in bytes.
const LINK_CONTROL: u16 = 0x70;
/// Link Control bit 3: the root complex's read completion boundary is 128 bytes.
const BOUNDARY_128: u32 = 1 << 3;

/// PCI Local Bus Specification 3.0, 6.1 and 6.8.2; PCI Express Base Specification, 7.8. Registers not named read as 0.
static REGISTERS: [Register; 17] = [
    // Device 8022, vendor 3776: what the NetTLP driver binds to.
    register(0x00, 0x8022_3776, 0),
    // Capability list; bus master and memory space on, INTx off.
    register(0x04, 0x0010_0406, 0x0000_0547),
    // Ethernet controller, revision 1.
    register(0x08, 0x0200_0001, 0),
    register(0x0c, 0x0000_0010, 0x0000_00ff),
    // BAR0 (64-bit, 64 KiB): the adapter's registers.
    register(0x10, 0xdf20_0004, 0xffff_0000),
    register(0x14, 0, 0xffff_ffff),
    // BAR2 (64-bit, 64 KiB): the MSI-X table.
    register(0x18, 0xdf10_0004, 0xffff_0000),
    register(0x1c, 0, 0xffff_ffff),
    // BAR4 (64-bit, 1 MiB): the pseudo memory that software devices serve; `BAR4` below.
    register(0x20, BAR4 as u32 | 0x4, 0xfff0_0000),
    register(0x24, 0, 0xffff_ffff),
    register(0x2c, 0x8022_3776, 0),
    register(0x34, 0x0000_0040, 0),
    // Interrupt line 11, pin A.
    register(0x3c, 0x0000_010b, 0x0000_00ff),
    // Power management 1.2, next at 0x60; state D0.
    register(0x40, 0x0003_6001, 0),
    register(0x44, 0x0000_0008, 0x0000_0103),
    // MSI-X: 16 entries, enabled, last capability; table and pending bits in BAR2.
    register(0x9c, 0x800f_0011, 0xc000_0000),
    register(0xa0, 0x0000_0002, 0),
];

/// PCI Express capability version 2 of an endpoint, next at 0x9c.
static PCI_EXPRESS: [Register; 6] = [
    register(0x60, 0x0002_9c10, 0),
    // Device Capabilities: 512-byte payload supported, 8-bit tags supported, role-based error reporting.
    register(0x64, 0x0000_8022, 0),
    // Device Control: errors reported, 8-bit tags, 512-byte read requests; the payload is put in.
    register(DEVICE_CONTROL, 0x0000_210f, 0x0000_7fff),
    // Link Capabilities: 5 GT/s, x4.
    register(0x6c, 0x0000_0042, 0),
    // Link Control and Status: 5 GT/s, x4; the boundary is put in.
    register(LINK_CONTROL, 0x0042_0000, 0x0000_01db),
    // Device Control 2: completion timeout 50 µs to 50 ms.
    register(0x88, 0x0000_0000, 0x0000_001f),
];

/// Where BAR4 is in the target's address space.
pub(super) const BAR4: u64 = 0xdf00_0000;

/// The registers as they are now.
#[derive(Debug)]
pub(super) struct ConfigurationSpace {
    values: Vec<u32>,
    writable: Vec<u32>,
}

impl ConfigurationSpace {
    /// The space of a card with these options, as firmware has left it.
    pub(super) fn new(options: &AdapterOptions) -> Self {
        let mut space = Self {
            values: vec![0; usize::from(ConfigurationRepr::DWORDS)],
            writable: vec![0; usize::from(ConfigurationRepr::DWORDS)],
        };
        for register in REGISTERS.iter().chain(&PCI_EXPRESS) {
            let dword = usize::from(register.dword);
            if let (Some(value), Some(writable)) =
                (space.values.get_mut(dword), space.writable.get_mut(dword))
            {
                (*value, *writable) = (register.value, register.writable);
            }
        }
        // Encoded as the power of two above 128 bytes: 256 bytes are 1.
        let payload = (options.max_payload.max(128) / 128).ilog2();
        space.or(DEVICE_CONTROL, payload << 5);
        if options.boundary == 128 {
            space.or(LINK_CONTROL, BOUNDARY_128);
        }
        space
    }

    fn or(&mut self, offset: u16, bits: u32) {
        if let Some(value) = self.values.get_mut(usize::from(offset / 4)) {
            *value |= bits;
        }
    }

    /// Carries a packet out; a read gives the packet to answer with.
    pub(super) fn handle(&mut self, packet: &ConfigurationRepr) -> Option<ConfigurationRepr> {
        let dword = usize::from(packet.dword_address);
        let value = self.values.get_mut(dword)?;
        match packet.command {
            ConfigurationCommand::Read => Some(ConfigurationRepr {
                data: *value,
                ..*packet
            }),
            ConfigurationCommand::Write => {
                let bytes: u32 = (0..4)
                    .filter(|byte| packet.byte_mask >> byte & 1 == 1)
                    .map(|byte| 0xff_u32 << (byte * 8))
                    .sum();
                let mask = bytes & self.writable.get(dword).copied().unwrap_or(0);
                *value = *value & !mask | packet.data & mask;
                None
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(space: &mut ConfigurationSpace, offset: u16) -> u32 {
        let packet = ConfigurationRepr::read(offset / 4);
        space.handle(&packet).unwrap().data
    }

    fn space(boundary: u32, max_payload: u32) -> ConfigurationSpace {
        ConfigurationSpace::new(&AdapterOptions {
            boundary,
            max_payload,
            ..AdapterOptions::default()
        })
    }

    #[test]
    fn the_capability_list_ends_and_holds_pci_express() {
        let mut space = space(64, 256);
        assert_eq!(read(&mut space, 0) & 0xffff, 0x3776);
        let mut seen = Vec::new();
        let mut at = read(&mut space, 0x34) & 0xff;
        while at != 0 {
            assert!(seen.len() < 8, "the list is endless");
            let head = read(&mut space, at as u16);
            seen.push(head & 0xff);
            at = head >> 8 & 0xff;
        }
        assert_eq!(seen, [0x01, 0x10, 0x11]);
    }

    #[test]
    fn device_control_says_what_the_adapter_does() {
        let control = read(&mut space(64, 256), DEVICE_CONTROL);
        assert_eq!(
            (control >> 12 & 7, control >> 8 & 1, control >> 5 & 7),
            (2, 1, 1)
        );
        let control = read(&mut space(128, 128), DEVICE_CONTROL);
        assert_eq!(control >> 5 & 7, 0);
        assert_eq!(read(&mut space(64, 256), LINK_CONTROL) & BOUNDARY_128, 0);
        assert_eq!(
            read(&mut space(128, 256), LINK_CONTROL) & BOUNDARY_128,
            BOUNDARY_128
        );
    }

    #[test]
    fn writes_change_writable_bits_of_chosen_bytes() {
        let mut space = space(64, 256);
        let write = |byte_mask, offset: u16, data| ConfigurationRepr {
            command: ConfigurationCommand::Write,
            byte_mask,
            dword_address: offset / 4,
            data,
        };
        assert_eq!(space.handle(&write(0xf, 0, u32::MAX)), None);
        assert_eq!(read(&mut space, 0), 0x8022_3776);
        space.handle(&write(0b0010, DEVICE_CONTROL, 0x0000_5e00));
        assert_eq!(read(&mut space, DEVICE_CONTROL), 0x0000_5e2f);
        // Sizing a BAR, as firmware does.
        space.handle(&write(0xf, 0x20, u32::MAX));
        assert_eq!(read(&mut space, 0x20), 0xfff0_0004);
    }
}
