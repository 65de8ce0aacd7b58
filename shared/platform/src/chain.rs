//! Chains of rows: a hash for each row, over the row and the hash before it, that nobody makes without the key. Pure.
//!
//! ```text
//! hash(0) = 32 zero bytes
//! hash(n) = HMAC-SHA-256(key, hash(n-1) ‖ bytes of row n)
//! ```
//!
//! 1. The bytes of a row can be read back in one way only (see [`RowBytes`]), so two different rows never have equal
//!    bytes. They begin with the name of the log and hold the row's chain and number: no row can take another's place.
//! 2. The key is derived from `ENCRYPTION_KEY`, so whoever has only the database can change rows but not their hashes.
//! 3. Of several encryption keys the newest seals; each seal names its key by a fingerprint, which tells nothing of it.

use std::fmt;

use chrono::{DateTime, Utc};
use hmac::{Hmac, KeyInit as _, Mac as _};
use secrecy::ExposeSecret as _;
use secrecy::zeroize::Zeroize as _;
use sha2::Sha256;

use crate::secrets::{DerivedKey, LocalSecrets};

/// What the keys are derived for.
pub const PURPOSE: &str = "arbion audit log v1";

/// What a fingerprint is made from.
const FINGERPRINT_OF: &[u8] = b"arbion audit key fingerprint";

/// Bytes of a block of SHA-256.
const BLOCK_LEN: usize = 64;

/// Bytes of a fingerprint.
const FINGERPRINT_LEN: usize = 8;

/// The hash of a row and of all before it.
pub type RowHash = [u8; HASH_LEN];

/// Bytes of a hash.
pub const HASH_LEN: usize = 32;

/// What stands for the hash before the first row.
pub const BEGINNING: RowHash = [0; HASH_LEN];

/// A key that seals rows. It is never printed.
#[derive(Clone)]
pub struct ChainKey {
    mac: Hmac<Sha256>,
    fingerprint: String,
}

impl ChainKey {
    /// The keys of an installation, the newest first; there is at least one.
    pub fn all_of(secrets: &LocalSecrets) -> Vec<ChainKey> {
        let keys = secrets.derive(PURPOSE);
        keys.iter().map(|key| ChainKey::of(key.expose_secret())).collect()
    }

    /// The key that seals: the newest one.
    pub fn newest_of(secrets: &LocalSecrets) -> ChainKey {
        // Splitting a text gives one part at least, however empty.
        let newest = secrets.derive(PURPOSE).into_iter().next();
        ChainKey::of(
            newest
                .unwrap_or_else(|| DerivedKey::new(Box::default()))
                .expose_secret(),
        )
    }

    /// The key with these bytes.
    pub fn of(key: &[u8; 32]) -> ChainKey {
        // HMAC fills a key up with zeros to the length of a block (RFC 2104).
        let mut block = [0; BLOCK_LEN];
        for (place, byte) in block.iter_mut().zip(key) {
            *place = *byte;
        }
        let mac = Hmac::<Sha256>::new(&block.into());
        block.zeroize();
        let told = digest(&mac, &[FINGERPRINT_OF]);
        let fingerprint = told.iter().take(FINGERPRINT_LEN).copied();
        ChainKey {
            mac,
            fingerprint: hex(fingerprint),
        }
    }

    /// Names the key without telling anything of it.
    pub fn fingerprint(&self) -> &str {
        &self.fingerprint
    }

    /// The hash of `row` after a row whose hash is `before`.
    pub fn hash(&self, before: &RowHash, row: &RowBytes) -> RowHash {
        digest(&self.mac, &[before, &row.0])
    }
}

impl fmt::Debug for ChainKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("ChainKey")
            .field("fingerprint", &self.fingerprint)
            .finish_non_exhaustive()
    }
}

fn digest(mac: &Hmac<Sha256>, parts: &[&[u8]]) -> RowHash {
    let mut mac = mac.clone();
    for part in parts {
        mac.update(part);
    }
    mac.finalize().into_bytes().into()
}

/// Bytes in hexadecimal.
pub fn hex(bytes: impl IntoIterator<Item = u8>) -> String {
    use fmt::Write as _;
    let mut text = String::new();
    for byte in bytes {
        // Writing to a String cannot fail.
        let _ = write!(text, "{byte:02x}");
    }
    text
}

/// The bytes of a row: the name of its log, then each field in turn.
///
/// A field that is empty in the database is the byte 0. Any other is the byte 1, its length in eight bytes (big-endian),
/// and its bytes: text as UTF-8, an id as its 16 bytes, a number as eight bytes (big-endian, two's complement), a time as
/// the number of microseconds since 1970. A reader always knows where a field ends, so the fields follow from the bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RowBytes(Vec<u8>);

impl RowBytes {
    /// A row of the log `log`, without fields yet.
    pub fn of(log: &str) -> RowBytes {
        RowBytes(Vec::with_capacity(256)).field(Some(log))
    }

    /// A field of bytes or text.
    #[must_use]
    pub fn field(mut self, value: Option<impl AsRef<[u8]>>) -> RowBytes {
        let Some(value) = value else {
            self.0.push(0);
            return self;
        };
        let value = value.as_ref();
        self.0.push(1);
        // A length of this machine always fits.
        let length = u64::try_from(value.len()).unwrap_or(u64::MAX);
        self.0.extend(length.to_be_bytes());
        self.0.extend(value);
        self
    }

    /// A number.
    #[must_use]
    pub fn number(self, value: i64) -> RowBytes {
        self.field(Some(value.to_be_bytes()))
    }

    /// A time; what is finer than a microsecond does not count.
    #[must_use]
    pub fn time(self, value: DateTime<Utc>) -> RowBytes {
        self.number(value.timestamp_micros())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn key(byte: u8) -> ChainKey {
        ChainKey::of(&[byte; 32])
    }

    #[test]
    fn the_hash_is_an_hmac_under_the_key() {
        // The construction by the crate, which is tested against RFC 4231, from a key that is not filled up by us.
        let row = RowBytes(b"Hi There".to_vec());
        let mut mac = Hmac::<Sha256>::new_from_slice(&[0x0b; 32]).unwrap();
        mac.update(&BEGINNING);
        mac.update(b"Hi There");
        let expected: RowHash = mac.finalize().into_bytes().into();
        assert_eq!(key(0x0b).hash(&BEGINNING, &row), expected);
    }

    #[test]
    fn a_hash_depends_on_the_key_the_row_and_what_was_before() {
        let row = RowBytes::of("orders").number(1);
        let hash = key(1).hash(&BEGINNING, &row);
        assert_eq!(key(1).hash(&BEGINNING, &row), hash);
        assert_ne!(key(2).hash(&BEGINNING, &row), hash);
        assert_ne!(key(1).hash(&hash, &row), hash);
        assert_ne!(key(1).hash(&BEGINNING, &RowBytes::of("orders").number(2)), hash);
        assert_ne!(key(1).hash(&BEGINNING, &RowBytes::of("audit").number(1)), hash);
    }

    #[test]
    fn a_fingerprint_names_its_key_and_is_all_that_is_printed() {
        assert_ne!(key(1).fingerprint(), key(2).fingerprint());
        let shown = format!("{:?}", key(1));
        assert_eq!(
            shown,
            format!("ChainKey {{ fingerprint: {:?}, .. }}", key(1).fingerprint())
        );
    }

    /// A row as a log may have it: the fields of the audit log, from few letters, so that rows nearly collide.
    type Row = (i64, i64, [Option<String>; 4]);

    fn rows() -> impl Strategy<Value = Row> {
        let text = || proptest::option::of("[a\u{0}\u{1}ä]{0,3}");
        let texts = [text(), text(), text(), text()];
        (-2_i64..3, any::<i64>().prop_map(|number| number % 3), texts)
    }

    fn bytes_of((seq, at, texts): &Row) -> RowBytes {
        let row = RowBytes::of("audit")
            .number(*seq)
            .time(DateTime::from_timestamp_micros(*at).unwrap());
        texts.iter().fold(row, |row, text| row.field(text.as_ref()))
    }

    /// What the bytes say: the fields, in order.
    fn fields_of(row: &RowBytes) -> Vec<Option<Vec<u8>>> {
        let (mut rest, mut fields) = (row.0.as_slice(), Vec::new());
        while let Some((presence, after)) = rest.split_first() {
            if *presence == 0 {
                fields.push(None);
                rest = after;
                continue;
            }
            let (length, after) = after.split_at(8);
            let length = u64::from_be_bytes(length.try_into().unwrap());
            let (field, after) = after.split_at(usize::try_from(length).unwrap());
            fields.push(Some(field.to_vec()));
            rest = after;
        }
        fields
    }

    proptest! {
        #[test]
        fn different_rows_never_have_equal_bytes(one in rows(), other in rows()) {
            prop_assert_eq!(one == other, bytes_of(&one) == bytes_of(&other));
        }

        #[test]
        fn the_fields_follow_from_the_bytes(row in rows()) {
            let (seq, at, texts) = &row;
            let mut expected = vec![
                Some(b"audit".to_vec()),
                Some(seq.to_be_bytes().to_vec()),
                Some(at.to_be_bytes().to_vec()),
            ];
            expected.extend(texts.iter().map(|text| text.as_ref().map(|text| text.as_bytes().to_vec())));
            prop_assert_eq!(fields_of(&bytes_of(&row)), expected);
        }
    }
}
