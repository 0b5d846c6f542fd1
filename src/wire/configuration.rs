//! Configuration packets: the card's PCIe configuration space over UDP (`pciecfg_pkg.sv` of the adapter).

use super::WireError;
use super::bytes::{be16, be32};

mod field {
    pub(super) const COMMAND_MASK_AND_ADDRESS: usize = 0;
    pub(super) const DATA: usize = 2;
    pub(super) const DWORD_ADDRESS: u16 = 0x03ff;
}

/// What a configuration packet wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ConfigurationCommand {
    /// 0: answered by the same packet with the data.
    Read,
    /// 1: not answered.
    Write,
}

/// Access to the fields of a configuration packet.
#[derive(Clone, Copy, Debug)]
pub struct ConfigurationPacket<T>(T);

impl<T: AsRef<[u8]>> ConfigurationPacket<T> {
    /// A view of `buffer`; refused where it is shorter than a packet.
    pub fn new(buffer: T) -> Result<Self, WireError> {
        let have = buffer.as_ref().len();
        if have < ConfigurationRepr::LENGTH {
            return Err(WireError::Truncated {
                what: "a configuration packet",
                need: ConfigurationRepr::LENGTH,
                have,
            });
        }
        Ok(Self(buffer))
    }

    /// The command: 0 read, 1 write.
    pub fn command(&self) -> u8 {
        (self.head() >> 14) as u8
    }

    /// Which bytes of the double word are meant, 4 bits; bit 0 is the lowest byte.
    pub fn byte_mask(&self) -> u8 {
        (self.head() >> 10) as u8 & 0x0f
    }

    /// Which double word, 0 to 1023.
    pub fn dword_address(&self) -> u16 {
        self.head() & field::DWORD_ADDRESS
    }

    /// The register's value: as a number, so that the vendor ID is the low half of double word 0.
    pub fn data(&self) -> u32 {
        be32(self.0.as_ref(), field::DATA)
    }

    fn head(&self) -> u16 {
        be16(self.0.as_ref(), field::COMMAND_MASK_AND_ADDRESS)
    }
}

/// A configuration packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ConfigurationRepr {
    /// Read or write.
    pub command: ConfigurationCommand,
    /// Which bytes of the double word, 4 bits; bit 0 is the lowest byte.
    pub byte_mask: u8,
    /// Which double word, 0 to 1023.
    pub dword_address: u16,
    /// The register's value; 0 in a read.
    pub data: u32,
}

impl ConfigurationRepr {
    /// Bytes of a packet.
    pub const LENGTH: usize = 6;

    /// Double words of configuration space.
    pub const DWORDS: u16 = 1024;

    /// The question what double word `dword_address` holds.
    pub const fn read(dword_address: u16) -> Self {
        Self {
            command: ConfigurationCommand::Read,
            byte_mask: 0x0f,
            dword_address,
            data: 0,
        }
    }

    /// Reads a packet; bytes behind it are Ethernet's padding and ignored.
    pub fn parse<T: AsRef<[u8]>>(packet: &ConfigurationPacket<T>) -> Result<Self, WireError> {
        let command = match packet.command() {
            0 => ConfigurationCommand::Read,
            1 => ConfigurationCommand::Write,
            unknown => return Err(WireError::ConfigurationCommand(unknown)),
        };
        Ok(Self {
            command,
            byte_mask: packet.byte_mask(),
            dword_address: packet.dword_address(),
            data: packet.data(),
        })
    }

    /// Writes the packet to the start of `buffer`; returns its length.
    pub fn emit(&self, buffer: &mut [u8]) -> Result<usize, WireError> {
        if self.dword_address >= Self::DWORDS {
            return Err(WireError::ConfigurationAddress(self.dword_address));
        }
        let have = buffer.len();
        let bytes = buffer.get_mut(..Self::LENGTH).ok_or(WireError::Truncated {
            what: "a configuration packet",
            need: Self::LENGTH,
            have,
        })?;
        let command = match self.command {
            ConfigurationCommand::Read => 0,
            ConfigurationCommand::Write => 1,
        };
        let head = command << 14 | u16::from(self.byte_mask & 0x0f) << 10 | self.dword_address;
        bytes[..field::DATA].copy_from_slice(&head.to_be_bytes());
        bytes[field::DATA..].copy_from_slice(&self.data.to_be_bytes());
        Ok(Self::LENGTH)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_stand_where_the_adapter_reads_them() {
        let mut buffer = [0xff; 6];
        let read = ConfigurationRepr::read(0x21a);
        assert_eq!(read.emit(&mut buffer), Ok(6));
        assert_eq!(buffer, [0x3e, 0x1a, 0, 0, 0, 0]);
        let write = ConfigurationRepr {
            command: ConfigurationCommand::Write,
            byte_mask: 0b0001,
            dword_address: 1,
            data: 0x0010_0406,
        };
        assert_eq!(write.emit(&mut buffer), Ok(6));
        assert_eq!(buffer, [0x44, 0x01, 0x00, 0x10, 0x04, 0x06]);
        let packet = ConfigurationPacket::new(&buffer).unwrap();
        assert_eq!(ConfigurationRepr::parse(&packet), Ok(write));
    }

    #[test]
    fn what_cannot_be_is_refused() {
        let packet = ConfigurationPacket::new([0x80, 0, 0, 0, 0, 0]).unwrap();
        assert_eq!(
            ConfigurationRepr::parse(&packet),
            Err(WireError::ConfigurationCommand(2))
        );
        assert_eq!(
            ConfigurationRepr::read(1024).emit(&mut [0; 6]),
            Err(WireError::ConfigurationAddress(1024))
        );
        assert!(ConfigurationPacket::new([0; 5]).is_err());
    }
}
