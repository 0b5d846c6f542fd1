//! What a kernel comes in → a file that is the kernel itself: compressed files and Debian packages are unpacked into a temporary file.
//!
//! What it promises: memory for one decompressor and a buffer, whatever the size of the file; at most [`MAX_UNPACKED`] bytes on disk, gone
//! when the file is closed. What is compressed with something else than gzip, xz, zstd, bzip2 or lzma is left as it is.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use crate::generate::error::GenerateError;
use crate::generate::from_btf::read_whole;
use crate::generate::progress::{Counted, Progress};
use crate::generate::unpack::{MAX_DICTIONARY_KIB, MAX_ZSTD_WINDOW, Packing};
use crate::generate::vmlinuz;

/// A kernel with everything that can be built in has less than a quarter of this.
const MAX_UNPACKED: u64 = 8 << 30;

/// Bytes that are read or written at a time.
const BUFFER: usize = 1 << 20;

/// An opened file.
#[derive(Debug)]
pub(super) struct Opened {
    pub(super) file: File,
    /// Bytes.
    pub(super) length: u64,
}

/// Opens a kernel, whatever it comes in.
pub(super) fn open(path: &Path, progress: &Progress) -> Result<Opened, GenerateError> {
    let unreadable = |source| GenerateError::Unreadable {
        path: path.to_owned(),
        source,
    };
    let file = File::open(path).map_err(unreadable)?;
    let metadata = file.metadata().map_err(unreadable)?;
    if metadata.is_dir() {
        return Err(unreadable(io::ErrorKind::IsADirectory.into()));
    }
    let opened = Opened {
        length: metadata.len(),
        file,
    };
    let mut start = [0; 16];
    // A file that is shorter is none of these.
    if opened.file.read_exact_at(&mut start, 0).is_err() {
        return Ok(opened);
    }
    let unpacker = Unpacker {
        path,
        limit: MAX_UNPACKED,
        progress,
    };
    if start.starts_with(AR_MAGIC) {
        return unpacker.vmlinux_of_package(&opened);
    }
    match Packing::of(&start).filter(|packing| streams(*packing)) {
        Some(packing) => {
            progress.begin(UNPACKING, opened.length);
            let reader = Counted {
                reader: &opened.file,
                progress,
            };
            let reader = BufReader::with_capacity(BUFFER, reader);
            let content = decoder(packing, reader).map_err(|source| unpacker.damaged(source))?;
            unpacker.keep(content)
        }
        None => Ok(opened),
    }
}

/// As [`open`]; of a kernel that boots, the kernel that it unpacks.
pub(super) fn open_bootable(path: &Path, progress: &Progress) -> Result<Opened, GenerateError> {
    let opened = open(path, progress)?;
    let mut start = [0; 1024];
    if opened.file.read_exact_at(&mut start, 0).is_err() || !vmlinuz::is_vmlinuz(&start) {
        return Ok(opened);
    }
    let kernel = vmlinuz::kernel(&read_whole(path)?);
    let kernel = kernel.map_err(|source| GenerateError::Vmlinuz {
        path: path.to_owned(),
        source,
    })?;
    let unpacker = Unpacker {
        path,
        limit: MAX_UNPACKED,
        progress,
    };
    unpacker.keep(kernel.as_slice())
}

/// Whether a format is unpacked as it is read.
fn streams(packing: Packing) -> bool {
    match packing {
        Packing::Gzip | Packing::Xz | Packing::Zstd | Packing::Bzip2 | Packing::Lzma => true,
        Packing::Lz4 | Packing::Lzo => false,
    }
}

/// What a compressed stream holds.
fn decoder<'r>(packing: Packing, reader: impl BufRead + 'r) -> io::Result<Box<dyn Read + 'r>> {
    Ok(match packing {
        Packing::Gzip => Box::new(flate2::bufread::MultiGzDecoder::new(reader)),
        Packing::Bzip2 => Box::new(bzip2::bufread::MultiBzDecoder::new(reader)),
        Packing::Xz => Box::new(lzma_rust2::XzReader::new_mem_limit(
            reader,
            true,
            MAX_DICTIONARY_KIB,
        )),
        Packing::Lzma => Box::new(lzma_rust2::LzmaReader::new_mem_limit(
            reader,
            MAX_DICTIONARY_KIB,
            None,
        )?),
        Packing::Zstd => {
            let mut decoder = zstd::stream::read::Decoder::with_buffer(reader)?;
            decoder.window_log_max(MAX_ZSTD_WINDOW)?;
            Box::new(decoder)
        }
        Packing::Lz4 | Packing::Lzo => return Err(io::ErrorKind::Unsupported.into()),
    })
}

/// Unpacks one file.
struct Unpacker<'p> {
    path: &'p Path,
    /// Bytes.
    limit: u64,
    progress: &'p Progress,
}

/// The start of an archive, of a member's header, and where it says what (`ar.h`).
const AR_MAGIC: &[u8] = b"!<arch>\n";
const AR_HEADER: usize = 60;
const AR_NAME: std::ops::Range<usize> = 0..16;
const AR_SIZE: std::ops::Range<usize> = 48..58;

/// What those who wait are told.
const UNPACKING: &str = "unpacking";

impl<'p> Unpacker<'p> {
    fn damaged(&self, source: io::Error) -> GenerateError {
        GenerateError::DamagedPacking {
            path: self.path.to_owned(),
            source,
        }
    }

    /// Writes everything to a temporary file.
    fn keep(&self, content: impl Read) -> Result<Opened, GenerateError> {
        let no_space = |source| GenerateError::NoSpace {
            path: self.path.to_owned(),
            folder: std::env::temp_dir(),
            source,
        };
        let mut file = tempfile::tempfile().map_err(no_space)?;
        let mut content = content.take(self.limit + 1);
        let mut buffer = vec![0; BUFFER];
        let mut length = 0;
        loop {
            let count = match content.read(&mut buffer) {
                Ok(0) => break,
                Ok(count) => count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(self.damaged(error)),
            };
            length += count as u64;
            if length > self.limit {
                return Err(GenerateError::UnpacksToTooMuch {
                    path: self.path.to_owned(),
                    limit: self.limit,
                });
            }
            let bytes = buffer.get(..count).unwrap_or(&[]);
            file.write_all(bytes).map_err(no_space)?;
        }
        Ok(Opened { file, length })
    }

    /// The vmlinux of a Debian package (deb(5)): an archive whose member `data.tar`, compressed or not, holds the files.
    fn vmlinux_of_package(&self, package: &Opened) -> Result<Opened, GenerateError> {
        let data = self.data_of_package(package)?;
        let mut data = BufReader::with_capacity(BUFFER, data);
        let start = data.fill_buf().map_err(|source| self.damaged(source))?;
        match Packing::of(start).filter(|packing| streams(*packing)) {
            Some(packing) => {
                let files = decoder(packing, data).map_err(|source| self.damaged(source))?;
                self.vmlinux_of_files(files)
            }
            None => self.vmlinux_of_files(data),
        }
    }

    /// The bytes of the member that holds the files. Read by hand: its header is all that is needed, and no number in it is trusted.
    fn data_of_package<'f>(
        &self,
        package: &'f Opened,
    ) -> Result<impl Read + use<'f, 'p>, GenerateError> {
        let mut at = AR_MAGIC.len() as u64;
        let mut header = [0; AR_HEADER];
        loop {
            if at >= package.length {
                return Err(self.no_vmlinux());
            }
            let read = package.file.read_exact_at(&mut header, at);
            read.map_err(|source| self.damaged(source))?;
            let field = |range| std::str::from_utf8(header.get(range)?).ok().map(str::trim);
            let size = field(AR_SIZE).and_then(|size| size.parse::<u64>().ok());
            let (Some(size), true) = (size, header.ends_with(b"`\n")) else {
                let problem = format!("no member's header at {at:#x}");
                return Err(self.damaged(io::Error::new(io::ErrorKind::InvalidData, problem)));
            };
            at += AR_HEADER as u64;
            if field(AR_NAME).is_some_and(|name| name.starts_with("data.tar")) {
                let mut file = &package.file;
                file.seek(SeekFrom::Start(at))
                    .map_err(|source| self.damaged(source))?;
                self.progress.begin(UNPACKING, size);
                return Ok(Counted {
                    reader: file.take(size),
                    progress: self.progress,
                });
            }
            // Members start at even offsets. A header has ten digits at most: this does not overflow.
            at += size + size % 2;
        }
    }

    /// The first regular file that is called `vmlinux`, or `vmlinux-` and a release.
    fn vmlinux_of_files(&self, files: impl Read) -> Result<Opened, GenerateError> {
        let damaged = |source| self.damaged(source);
        let mut archive = tar::Archive::new(files.take(self.limit));
        // Raw: headers with long names are no names, and not collected. Nothing that is looked for has one.
        for entry in archive.entries().map_err(damaged)?.raw(true) {
            let entry = entry.map_err(damaged)?;
            let is_vmlinux = entry.path().is_ok_and(|path| is_vmlinux(&path));
            if entry.header().entry_type().is_file() && is_vmlinux {
                return self.keep(entry);
            }
        }
        Err(self.no_vmlinux())
    }

    fn no_vmlinux(&self) -> GenerateError {
        GenerateError::NoVmlinux {
            path: PathBuf::from(self.path),
        }
    }
}

fn is_vmlinux(path: &Path) -> bool {
    let name = path.file_name().and_then(|name| name.to_str());
    name.is_some_and(|name| name == "vmlinux" || name.starts_with("vmlinux-"))
}
