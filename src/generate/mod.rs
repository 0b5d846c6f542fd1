//! vmlinux → layout profile.
