//! Bytes of the target → scalar values, little-endian.

use crate::profile::{BitField, Encoding, Enumeration, Type};

use super::Value;

/// Bytes that a scalar of this stripped type occupies; `None` where the type is not a scalar. An enum's size is its enumeration's.
pub fn scalar_size(ty: &Type, enumeration: Option<&Enumeration>) -> Option<u64> {
    match ty {
        Type::Base(base) => Some(base.size),
        Type::Pointer(_) => Some(8),
        Type::Enum(_) => enumeration.map(|enumeration| enumeration.size),
        _ => None,
    }
}

/// The scalar in `bytes`, whose length is the type's (or, for a bit field, that of the bytes that hold it). `ty` must be stripped of
/// typedefs. Types that are not scalars give `None`, as do sizes that no C scalar has.
pub fn decode_scalar(
    bytes: &[u8],
    ty: &Type,
    bits: Option<BitField>,
    enumeration: Option<&Enumeration>,
) -> Option<Value> {
    let width = u32::try_from(bytes.len()).ok()?.checked_mul(8)?;
    if width == 0 || width > 128 {
        return None;
    }
    let mut raw = [0; 16];
    raw[..bytes.len()].copy_from_slice(bytes);
    let raw = u128::from_le_bytes(raw);
    let (raw, width) = match bits {
        Some(field) => (raw.checked_shr(field.offset)?, field.size),
        None => (raw, width),
    };
    if width == 0 || width > 64 {
        return None;
    }
    let unsigned = raw & ((1u128 << width) - 1);
    Some(match ty {
        Type::Pointer(_) => Value::Address(u64::try_from(unsigned).ok()?),
        Type::Base(base) => match base.encoding {
            Encoding::Boolean => Value::Boolean(unsigned != 0),
            Encoding::Signed | Encoding::SignedChar => Value::Integer(sign_extend(unsigned, width)),
            Encoding::Unsigned | Encoding::UnsignedChar => Value::Integer(unsigned as i128),
            Encoding::Float => decode_float(unsigned, base.size)?,
        },
        Type::Enum(_) => {
            let signed = enumeration.is_some_and(|enumeration| enumeration.signed);
            let number = if signed {
                sign_extend(unsigned, width)
            } else {
                unsigned as i128
            };
            let name = enumeration
                .and_then(|enumeration| {
                    enumeration
                        .values
                        .iter()
                        .find(|(_, value)| *value == number)
                })
                .map(|(name, _)| name.clone());
            Value::Enumerator(number, name)
        }
        _ => return None,
    })
}

fn sign_extend(unsigned: u128, width: u32) -> i128 {
    let shift = 128 - width;
    ((unsigned << shift) as i128) >> shift
}

fn decode_float(raw: u128, size: u64) -> Option<Value> {
    match size {
        4 => Some(Value::Float(f64::from(f32::from_bits(
            u32::try_from(raw).ok()?,
        )))),
        8 => Some(Value::Float(f64::from_bits(u64::try_from(raw).ok()?))),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::profile::BaseType;

    fn base(size: u64, encoding: Encoding) -> Type {
        Type::Base(Arc::new(BaseType {
            name: "x".into(),
            size,
            encoding,
        }))
    }

    #[test]
    fn signs_and_bit_fields() {
        let int = base(4, Encoding::Signed);
        assert_eq!(
            decode_scalar(&[0xff; 4], &int, None, None),
            Some(Value::Integer(-1))
        );
        let unsigned = base(4, Encoding::Unsigned);
        assert_eq!(
            decode_scalar(&[0xff; 4], &unsigned, None, None),
            Some(Value::Integer(0xffff_ffff))
        );
        let field = Some(BitField { offset: 3, size: 2 });
        assert_eq!(
            decode_scalar(&[0b0001_1000], &unsigned, field, None),
            Some(Value::Integer(3))
        );
        assert_eq!(
            decode_scalar(&[0b0001_1000], &int, field, None),
            Some(Value::Integer(-1))
        );
        assert_eq!(decode_scalar(&[], &int, None, None), None);
        let pointer = Type::Pointer(Arc::new(Type::Void));
        assert_eq!(
            decode_scalar(&[1, 0, 0, 0, 0, 0, 0, 0xff], &pointer, None, None),
            Some(Value::Address(0xff00_0000_0000_0001))
        );
    }
}
