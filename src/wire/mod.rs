//! Datagram bytes ⇄ NetTLP header, MRd, MWr, Cpl/CplD, byte enables, message API, configuration packets; pure, no I/O.
