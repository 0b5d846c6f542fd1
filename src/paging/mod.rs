//! Virtual → physical addresses; page-table formats are tables, one walker reads them.
