//! The layout that all states share: version, kind, fields in little endian, checksum.

use super::StateError;

const VERSION: u8 = 1;

/// Which method a state belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Randomisation = 1,
    BernoulliKt = 2,
    NonInferiority = 3,
    Canary = 4,
}

/// Writes a state.
pub(super) struct Writer(Vec<u8>);

impl Writer {
    pub(super) fn new(kind: Kind) -> Self {
        Self(vec![VERSION, kind as u8])
    }

    pub(super) fn byte(&mut self, value: u8) {
        self.0.push(value);
    }

    pub(super) fn float(&mut self, value: f64) {
        self.0.extend_from_slice(&value.to_bits().to_le_bytes());
    }

    /// Seven bits a byte, lowest first.
    pub(super) fn count(&mut self, mut value: u64) {
        while value >= 128 {
            self.0.push(value as u8 | 128);
            value >>= 7;
        }
        self.0.push(value as u8);
    }

    /// Another state, with its length.
    pub(super) fn nested(&mut self, bytes: &[u8]) {
        self.count(bytes.len() as u64);
        self.0.extend_from_slice(bytes);
    }

    pub(super) fn finish(mut self) -> Vec<u8> {
        let sum = checksum(&self.0);
        self.0.extend_from_slice(&sum.to_le_bytes());
        self.0
    }
}

/// Reads what [`Writer`] wrote; whoever reads a field says what it may be.
pub(super) struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    pub(super) fn new(bytes: &'a [u8], kind: Kind) -> Result<Self, StateError> {
        let (&version, rest) = bytes.split_first().ok_or(StateError::Corrupt)?;
        if version != VERSION {
            return Err(StateError::Version(version));
        }
        let (&found, _) = rest.split_first().ok_or(StateError::Corrupt)?;
        if found != kind as u8 {
            return Err(StateError::Kind);
        }
        let body = bytes.len().checked_sub(4).ok_or(StateError::Corrupt)?;
        let (body, sum) = bytes.split_at(body);
        if checksum(body).to_le_bytes() != sum {
            return Err(StateError::Corrupt);
        }
        Ok(Self(body.get(2..).ok_or(StateError::Corrupt)?))
    }

    pub(super) fn byte(&mut self) -> Result<u8, StateError> {
        let (&first, rest) = self.0.split_first().ok_or(StateError::Corrupt)?;
        self.0 = rest;
        Ok(first)
    }

    /// Any number that is not NaN.
    pub(super) fn float(&mut self) -> Result<f64, StateError> {
        let (bits, rest) = self.0.split_first_chunk::<8>().ok_or(StateError::Corrupt)?;
        self.0 = rest;
        let value = f64::from_bits(u64::from_le_bytes(*bits));
        if value.is_nan() { Err(StateError::Corrupt) } else { Ok(value) }
    }

    /// A finite number that passes.
    pub(super) fn finite(&mut self, passes: impl Fn(f64) -> bool) -> Result<f64, StateError> {
        let value = self.float()?;
        if value.is_finite() && passes(value) { Ok(value) } else { Err(StateError::Corrupt) }
    }

    /// Counts stay below 2^53, so that they are exact as floating-point numbers.
    pub(super) fn count(&mut self) -> Result<u64, StateError> {
        let mut value = 0_u64;
        for place in 0..8 {
            let byte = self.byte()?;
            value |= u64::from(byte & 127) << (7 * place);
            if byte < 128 {
                // A last byte of zero would be another way to write the same number.
                let unique = place == 0 || byte > 0;
                return if unique && value < 1 << 53 { Ok(value) } else { Err(StateError::Corrupt) };
            }
        }
        Err(StateError::Corrupt)
    }

    pub(super) fn nested(&mut self) -> Result<&'a [u8], StateError> {
        let length = usize::try_from(self.count()?).map_err(|_| StateError::Corrupt)?;
        let (bytes, rest) = self.0.split_at_checked(length).ok_or(StateError::Corrupt)?;
        self.0 = rest;
        Ok(bytes)
    }

    pub(super) fn finish(self) -> Result<(), StateError> {
        if self.0.is_empty() { Ok(()) } else { Err(StateError::Corrupt) }
    }
}

/// FNV-1a of 32 bits: against accidents, not against forgery.
fn checksum(bytes: &[u8]) -> u32 {
    bytes.iter().fold(0x811c_9dc5, |sum, &byte| (sum ^ u32::from(byte)).wrapping_mul(0x0100_0193))
}
