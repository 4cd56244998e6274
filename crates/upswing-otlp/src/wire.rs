//! Protobuf's wire format, as far as OTLP uses it.
//!
//! Read by hand and in place, not through generated types: the outer messages are walked without a list of them being
//! made, each span is read by itself so that a broken one is refused alone, and the bounds hold before memory is taken.
//! The tests compare it with `prost`.

/// Why bytes are no protobuf message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// It ends within a field.
    #[error("it ends within a field")]
    Truncated,
    /// A number of more than 64 bits.
    #[error("a number has more than 64 bits")]
    Number,
    /// The field number 0, or one that is too large.
    #[error("a field has no valid number")]
    Tag,
    /// Groups, which OTLP has never used, or a wire type that does not exist.
    #[error("a field has a wire type that is not used")]
    WireType,
    /// A known field of another type.
    #[error("field {0} has another type")]
    Type(&'static str),
}

/// The value of a field.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Field<'a> {
    Varint(u64),
    Fixed64(u64),
    Fixed32(u32),
    Bytes(&'a [u8]),
}

impl<'a> Field<'a> {
    pub(crate) fn bytes(self, name: &'static str) -> Result<&'a [u8], Malformed> {
        if let Self::Bytes(bytes) = self { Ok(bytes) } else { Err(Malformed::Type(name)) }
    }

    pub(crate) fn varint(self, name: &'static str) -> Result<u64, Malformed> {
        if let Self::Varint(value) = self { Ok(value) } else { Err(Malformed::Type(name)) }
    }

    pub(crate) fn fixed64(self, name: &'static str) -> Result<u64, Malformed> {
        if let Self::Fixed64(value) = self { Ok(value) } else { Err(Malformed::Type(name)) }
    }

    pub(crate) fn fixed32(self, name: &'static str) -> Result<u32, Malformed> {
        if let Self::Fixed32(value) = self { Ok(value) } else { Err(Malformed::Type(name)) }
    }
}

/// The fields of a message, in the order in which they stand there. Ends after an error.
#[derive(Debug, Clone)]
pub(crate) struct Fields<'a> {
    rest: &'a [u8],
}

impl<'a> Fields<'a> {
    pub(crate) fn new(message: &'a [u8]) -> Self {
        Self { rest: message }
    }

    fn varint(&mut self) -> Result<u64, Malformed> {
        let mut value = 0_u64;
        for place in 0..10_u32 {
            let (&byte, rest) = self.rest.split_first().ok_or(Malformed::Truncated)?;
            self.rest = rest;
            // The tenth byte has room for one bit.
            if place == 9 && byte > 1 {
                return Err(Malformed::Number);
            }
            value |= u64::from(byte & 0x7f) << (7 * place);
            if byte < 0x80 {
                return Ok(value);
            }
        }
        Err(Malformed::Number)
    }

    fn take(&mut self, count: usize) -> Result<&'a [u8], Malformed> {
        let (taken, rest) = self.rest.split_at_checked(count).ok_or(Malformed::Truncated)?;
        self.rest = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Malformed> {
        self.take(N)?.try_into().map_err(|_| Malformed::Truncated)
    }

    fn field(&mut self) -> Result<(u32, Field<'a>), Malformed> {
        let key = self.varint()?;
        let number = u32::try_from(key >> 3).ok().filter(|number| (1..1 << 29).contains(number));
        let number = number.ok_or(Malformed::Tag)?;
        let value = match key & 7 {
            0 => Field::Varint(self.varint()?),
            1 => Field::Fixed64(u64::from_le_bytes(self.array()?)),
            2 => {
                let length = usize::try_from(self.varint()?).map_err(|_| Malformed::Truncated)?;
                Field::Bytes(self.take(length)?)
            }
            5 => Field::Fixed32(u32::from_le_bytes(self.array()?)),
            _ => return Err(Malformed::WireType),
        };
        Ok((number, value))
    }
}

impl<'a> Iterator for Fields<'a> {
    type Item = Result<(u32, Field<'a>), Malformed>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let field = self.field();
        if field.is_err() {
            self.rest = &[];
        }
        Some(field)
    }
}

/// Writes a message: fields that have their default value are left out, as proto3 does.
#[derive(Debug, Default)]
pub(crate) struct Writer {
    bytes: Vec<u8>,
}

impl Writer {
    fn varint(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.bytes.push((value & 0x7f) as u8 | 0x80);
            value >>= 7;
        }
        self.bytes.push(value as u8);
    }

    pub(crate) fn number(mut self, field: u32, value: u64) -> Self {
        if value != 0 {
            self.varint(u64::from(field) << 3);
            self.varint(value);
        }
        self
    }

    pub(crate) fn text(self, field: u32, value: &str) -> Self {
        if value.is_empty() { self } else { self.message(field, value.as_bytes()) }
    }

    pub(crate) fn message(mut self, field: u32, value: &[u8]) -> Self {
        self.varint(u64::from(field) << 3 | 2);
        self.varint(value.len() as u64);
        self.bytes.extend_from_slice(value);
        self
    }

    pub(crate) fn done(self) -> Vec<u8> {
        self.bytes
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(bytes: &[u8]) -> Result<Vec<(u32, Field<'_>)>, Malformed> {
        Fields::new(bytes).collect()
    }

    #[test]
    fn every_way_to_be_malformed_is_told() {
        assert_eq!(read(&[]), Ok(vec![]));
        assert_eq!(read(&[0x0a, 2, 7]), Err(Malformed::Truncated));
        assert_eq!(read(&[0x09, 1]), Err(Malformed::Truncated));
        assert_eq!(
            read(&[0x0a, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1]),
            Err(Malformed::Truncated)
        );
        assert_eq!(read(&[0x00, 1]), Err(Malformed::Tag));
        assert_eq!(read(&[0x0b]), Err(Malformed::WireType));
        assert_eq!(read(&[0xff; 11]), Err(Malformed::Number));
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(number in 1_u64.., text in ".{1,40}") {
            let bytes = Writer::default().number(3, number).text(200, &text).done();
            prop_assert_eq!(
                read(&bytes),
                Ok(vec![(3, Field::Varint(number)), (200, Field::Bytes(text.as_bytes()))])
            );
        }

        #[test]
        fn no_bytes_are_too_odd(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
            let _ = read(&bytes);
        }
    }
}
