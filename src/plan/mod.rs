//! Checked query → plan that a person can print.
