//! UDP ports, each of which says what a datagram is.

use super::Tag;

/// DMA requests and their completions: this plus the 8-bit tag, source and destination alike.
pub const DMA_PORT_BASE: u16 = 0x3000;
/// Accesses of the target's processor to the card: this plus the lowest 4 bits of the tag.
pub const DEVICE_PORT_BASE: u16 = 0x4000;
/// The message API, answered by the NetTLP driver on the target.
pub const MESSAGE_PORT: u16 = 0x2fff;
/// The card's configuration space, as in the adapter's register transfer code (`pciecfg_pkg.sv`).
pub const CONFIGURATION_PORT: u16 = 0x5001;
/// The card's configuration space, as LibTLP has it. The adapter takes what arrives here for a TLP: only for software
/// adapters that want to serve LibTLP's programs.
pub const LIBTLP_CONFIGURATION_PORT: u16 = 0x4001;

impl Tag {
    /// The port of DMA with this tag.
    pub const fn dma_port(self) -> u16 {
        DMA_PORT_BASE + self.get() as u16
    }

    /// The tag whose DMA uses `port`, if any does.
    pub const fn from_dma_port(port: u16) -> Option<Self> {
        if port >= DMA_PORT_BASE && port <= DMA_PORT_BASE + 0xff {
            Some(Self::new((port - DMA_PORT_BASE) as u8))
        } else {
            None
        }
    }

    /// The port of the processor's accesses to the card that carry this tag.
    pub const fn device_port(self) -> u16 {
        DEVICE_PORT_BASE + (self.get() & 0x0f) as u16
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_follow_the_tag() {
        assert_eq!(Tag::new(0).dma_port(), 12288);
        assert_eq!(Tag::new(255).dma_port(), 0x30ff);
        assert_eq!(Tag::new(0x27).device_port(), 0x4007);
        assert_eq!(Tag::from_dma_port(0x30ff), Some(Tag::new(255)));
        assert_eq!(Tag::from_dma_port(0x2fff), None);
        assert_eq!(Tag::from_dma_port(0x3100), None);
    }
}
