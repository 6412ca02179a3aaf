//! Segment files: their names, their headers, and spares allocated before they are needed.
//!
//! ```text
//!  0 magic "omnilog\n" · 8 format u32 · 12 sealed u32 · 16 sequence u64 · 24 file bytes u64
//! 32 epoch u64 · 40 seed u32 · 44 log id u32 · zeros · 508 crc u32 of bytes 0..508
//! ```
//!
//! **Invariants:**
//! - a file named `<sequence>.seg` has a durable header, and its seed is the chain at the end of
//!   the segment before it;
//! - a file named `spare-<n>` is fully allocated, zeroed and durable.

use super::error::LogError;
use super::frame::is_zero;
use crate::disk::{Disk, DiskFile};
use bytes::{Buf, BufMut};
use std::io;
use std::sync::Arc;

pub(super) const HEADER_BYTES: usize = 512;
/// Small segments are for tests; large ones keep offsets well inside 32 bits.
pub(super) const SEGMENT_BYTES_MIN: u64 = 2048;
pub(super) const SEGMENT_BYTES_MAX: u64 = 1 << 30;
pub(super) const FORMAT: u32 = 1;
/// The sequence number of the first segment ever.
pub(super) const FIRST_SEQUENCE: u64 = 1;
const MAGIC: [u8; 8] = *b"omnilog\n";
const CRC_AT: usize = HEADER_BYTES - 4;
const ZERO_BLOCK_BYTES: usize = 1 << 20;
const SPARE_PREFIX: &str = "spare-";

/// What stands at the start of a segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) sequence: u64,
    pub(super) file_bytes: u64,
    pub(super) epoch: u64,
    pub(super) seed: u32,
    pub(super) log_id: u32,
    pub(super) sealed: bool,
}

impl Header {
    pub(super) fn encode(&self) -> [u8; HEADER_BYTES] {
        let mut bytes = [0; HEADER_BYTES];
        let mut rest = bytes.as_mut_slice();
        rest.put_slice(&MAGIC);
        rest.put_u32_le(FORMAT);
        rest.put_u32_le(u32::from(self.sealed));
        rest.put_u64_le(self.sequence);
        rest.put_u64_le(self.file_bytes);
        rest.put_u64_le(self.epoch);
        rest.put_u32_le(self.seed);
        rest.put_u32_le(self.log_id);
        if let Some((covered, mut crc)) = bytes.split_at_mut_checked(CRC_AT) {
            crc.put_u32_le(crc32c::crc32c(covered));
        }
        bytes
    }

    /// Reads the header of `file`, whose first bytes and true length are given.
    pub(super) fn decode(file: &str, bytes: &[u8], file_len: u64) -> Result<Self, LogError> {
        let damaged = |reason: &str| damage(file, 0, reason);
        let (covered, mut crc) = bytes
            .first_chunk::<HEADER_BYTES>()
            .and_then(|header| header.split_at_checked(CRC_AT))
            .ok_or_else(|| damaged("the file is shorter than a segment header"))?;
        if crc32c::crc32c(covered) != crc.get_u32_le() {
            return Err(damaged("the checksum of the segment header does not match"));
        }
        let Some(mut rest) = covered.strip_prefix(MAGIC.as_slice()) else {
            return Err(damaged("the file is not a log segment"));
        };
        let found = rest.get_u32_le();
        if found > FORMAT {
            return Err(LogError::NewerFormat { file: file.to_owned(), found, known: FORMAT });
        }
        let sealed = rest.get_u32_le() != 0;
        let (sequence, file_bytes, epoch) =
            (rest.get_u64_le(), rest.get_u64_le(), rest.get_u64_le());
        let (seed, log_id) = (rest.get_u32_le(), rest.get_u32_le());
        if file_len < file_bytes || file_bytes > SEGMENT_BYTES_MAX {
            return Err(damaged(&format!("the file has {file_len} of its {file_bytes} bytes")));
        }
        // In a smaller one there is no room for the end mark, and what is appended would be lost.
        if file_bytes < SEGMENT_BYTES_MIN {
            return Err(damaged(&format!("a segment cannot have only {file_bytes} bytes")));
        }
        Ok(Self { sequence, file_bytes, epoch, seed, log_id, sealed })
    }
}

/// An error that says which bytes are damaged.
pub(super) fn damage(file: &str, offset: u64, reason: &str) -> LogError {
    LogError::Damaged { file: file.to_owned(), offset, reason: reason.to_owned() }
}

/// An open segment.
pub(super) struct Segment {
    pub(super) header: Header,
    pub(super) path: String,
    pub(super) file: Arc<dyn DiskFile>,
}

/// The path of a segment.
pub(super) fn segment_path(dir: &str, sequence: u64) -> String {
    format!("{dir}/{sequence:020}.seg")
}

/// The sequence number in a segment's file name.
pub(super) fn sequence_of(name: &str) -> Option<u64> {
    let digits = name.strip_suffix(".seg").filter(|digits| digits.len() == 20)?;
    digits.bytes().all(|byte| byte.is_ascii_digit()).then(|| digits.parse().ok())?
}

/// Whether a file name is that of a spare, complete or not.
pub(super) fn is_spare(name: &str) -> bool {
    name.starts_with(SPARE_PREFIX)
}

/// The number in a complete spare's file name. No log lives to number more than 32 bits hold, so
/// there is always a next one.
pub(super) fn spare_number(name: &str) -> Option<u64> {
    name.strip_prefix(SPARE_PREFIX)?.parse().ok().map(u32::into)
}

/// A segment file to come: allocated, zeroed and durable, without a header.
pub struct Spare {
    pub(super) path: String,
    pub(super) bytes: u64,
    pub(super) file: Arc<dyn DiskFile>,
}

impl Spare {
    /// Takes up a spare that an earlier process left; `None` if it is not a clean one.
    pub(super) fn adopt(disk: &dyn Disk, path: String, bytes: u64) -> io::Result<Option<Self>> {
        let file = disk.open(&path)?;
        let mut header = [0; HEADER_BYTES];
        let read = file.read_full_at(0, &mut header)?;
        let clean = file.len()? == bytes && read == HEADER_BYTES && is_zero(&header);
        Ok(clean.then(|| Self { path, bytes, file: Arc::from(file) }))
    }

    /// Writes the header and gives the file its name as a segment, durably.
    pub(super) fn into_segment(
        self,
        disk: &dyn Disk,
        dir: &str,
        header: Header,
    ) -> io::Result<Segment> {
        self.file.write_at(0, &header.encode())?;
        // The name must not be durable before the header is.
        self.file.sync()?;
        let path = segment_path(dir, header.sequence);
        disk.rename(&self.path, &path)?;
        disk.sync_dir(dir)?;
        Ok(Segment { header, path, file: self.file })
    }
}

/// A spare that the log wants. It may be allocated on any thread.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SpareRequest {
    pub(super) dir: String,
    pub(super) number: u64,
    pub(super) bytes: u64,
}

impl SpareRequest {
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Allocates, zeroes and syncs the file; on failure nothing is left behind.
    pub fn allocate(&self, disk: &dyn Disk) -> io::Result<Spare> {
        let path = format!("{}/{SPARE_PREFIX}{}", self.dir, self.number);
        let unfinished = format!("{path}.tmp");
        if disk.exists(&unfinished)? {
            disk.remove(&unfinished)?;
        }
        let allocated = self.fill(disk, &unfinished).and_then(|file| {
            disk.rename(&unfinished, &path)?;
            disk.sync_dir(&self.dir)?;
            Ok(Spare { path: path.clone(), bytes: self.bytes, file })
        });
        if allocated.is_err() {
            for leftover in [&unfinished, &path] {
                // The error that counts is the first one; a leftover is removed at the next start.
                if let Err(error) = disk.remove(leftover)
                    && error.kind() != io::ErrorKind::NotFound
                {
                    tracing::warn!(file = %leftover, %error, "unfinished log segment stays");
                }
            }
        }
        allocated
    }

    fn fill(&self, disk: &dyn Disk, path: &str) -> io::Result<Arc<dyn DiskFile>> {
        let file = disk.create_new(path)?;
        let total = usize::try_from(self.bytes).map_err(io::Error::other)?;
        let zeros = vec![0; total.min(ZERO_BLOCK_BYTES)];
        let mut offset = 0;
        while let Some(block) = zeros.get(..zeros.len().min(total - offset))
            && !block.is_empty()
        {
            file.write_at(offset as u64, block)?;
            offset += block.len();
        }
        file.sync_all()?;
        Ok(Arc::from(file))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sim_disk::SimDisk;

    const HEADER: Header =
        Header { sequence: 9, file_bytes: 4096, epoch: 4, seed: 77, log_id: 5, sealed: true };

    #[test]
    fn a_header_decodes_to_itself() {
        assert_eq!(Header::decode("a", &HEADER.encode(), 4096).unwrap(), HEADER);
    }

    #[test]
    fn every_flipped_bit_of_a_header_is_seen() {
        let bytes = HEADER.encode();
        for bit in 0..HEADER_BYTES * 8 {
            let mut flipped = bytes;
            flipped[bit / 8] ^= 1 << (bit % 8);
            let error = Header::decode("log/a", &flipped, 4096).unwrap_err();
            assert!(error.to_string().contains("log/a"), "{error}");
        }
    }

    #[test]
    fn a_newer_format_is_named() {
        let mut bytes = HEADER.encode();
        bytes[8] = 2;
        let crc = crc32c::crc32c(&bytes[..CRC_AT]);
        bytes[CRC_AT..].copy_from_slice(&crc.to_le_bytes());
        let error = Header::decode("log/a", &bytes, 4096).unwrap_err();
        assert_eq!(
            error.to_string(),
            "log file log/a has format 2, and this program knows formats up to 1; \
             start a newer version"
        );
    }

    #[test]
    fn a_shortened_file_is_damaged() {
        let error = Header::decode("a", &HEADER.encode(), 4095).unwrap_err();
        assert!(matches!(error, LogError::Damaged { .. }));
    }

    #[test]
    fn a_segment_without_room_for_records_is_damaged() {
        let small = Header { file_bytes: SEGMENT_BYTES_MIN - 1, ..HEADER };
        let error = Header::decode("a", &small.encode(), 4096).unwrap_err();
        assert!(error.to_string().contains("only 2047 bytes"), "{error}");
        let least = Header { file_bytes: SEGMENT_BYTES_MIN, ..HEADER };
        assert_eq!(Header::decode("a", &least.encode(), 4096).unwrap(), least);
    }

    #[test]
    fn names_are_told_apart() {
        assert_eq!(segment_path("log", 7), "log/00000000000000000007.seg");
        assert_eq!(sequence_of("00000000000000000007.seg"), Some(7));
        assert_eq!(sequence_of("7.seg"), None);
        assert_eq!(sequence_of("+0000000000000000007.seg"), None);
        assert_eq!(spare_number("spare-3"), Some(3));
        assert_eq!(spare_number("spare-3.tmp"), None);
        assert_eq!(spare_number("spare-18446744073709551615"), None);
    }

    #[test]
    fn a_failed_allocation_leaves_nothing() {
        let disk = SimDisk::new(1);
        disk.create_dir_all("log").unwrap();
        let request = SpareRequest { dir: "log".into(), number: 1, bytes: 8192 };
        disk.set_capacity(Some(8000));
        let error = request.allocate(&disk).map(|_| ()).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::StorageFull);
        assert_eq!(disk.list("log").unwrap(), Vec::<String>::new());
        disk.set_capacity(None);
        disk.fail_sync(1);
        request.allocate(&disk).map(|_| ()).unwrap_err();
        assert_eq!(disk.list("log").unwrap(), Vec::<String>::new());
        request.allocate(&disk).unwrap();
        assert_eq!(disk.list("log").unwrap(), ["spare-1"]);
    }
}
