//! Decimal digits, eight at a time: they are the bytes of a `u64`, the first digit the lowest byte.

/// Digits that are read or written at once.
pub const MAX_DIGITS: usize = 8;

/// One more than the highest number of [`MAX_DIGITS`] digits.
pub const LIMIT: u32 = 10_u32.pow(MAX_DIGITS as u32);

/// The number that up to eight decimal digits at the front of `bytes` say, and how many those are. `None` if `bytes` has
/// fewer than eight bytes.
#[inline(always)]
pub fn leading_number(bytes: &[u8]) -> Option<(u32, usize)> {
    let word = u64::from_le_bytes(*bytes.first_chunk()?);
    let bits = (mark_non_digits(word) & HIGH_BITS).trailing_zeros() & !7;
    let number = word.unbounded_shl(u64::BITS - bits) & in_each_byte(0x0f);
    let fours = (pairs(number).wrapping_mul(100 << 16 | 1) >> 16) & 0x0000_ffff_0000_ffff;
    Some(((fours.wrapping_mul(10_000 << 32 | 1) >> 32) as u32, bits as usize / 8))
}

/// The number that these decimal digits say. `None` for anything else, and for a number that is too large.
pub fn parse_decimal<N: TryFrom<u64>>(field: &[u8]) -> Option<N> {
    let digits = |value: u64, &byte: &u8| match byte {
        b'0'..=b'9' => value.checked_mul(10)?.checked_add(u64::from(byte - b'0')),
        _ => None,
    };
    let value = if field.is_empty() { None } else { field.iter().try_fold(0, digits) };
    value.and_then(|value| N::try_from(value).ok())
}

/// The numbers from 0 to 99 that each two of eight digits say. `None` if one of the bytes is no digit.
#[inline(always)]
pub fn number_pairs(digits: [u8; MAX_DIGITS]) -> Option<[u32; 4]> {
    let word = u64::from_le_bytes(digits);
    (mark_non_digits(word) & HIGH_BITS == 0).then(|| {
        let numbers = pairs(word & in_each_byte(0x0f));
        [0, 16, 32, 48].map(|bits| (numbers >> bits) as u32 & 0xff)
    })
}

/// The eight digits of a number below [`LIMIT`], leading zeros included.
#[inline(always)]
pub fn eight_digits(number: u32) -> [u8; MAX_DIGITS] {
    (digits(number) | in_each_byte(b'0')).to_le_bytes()
}

/// The digits of a number below [`LIMIT`] without leading zeros, and how many those are. Other bytes follow them.
#[inline(always)]
pub fn to_decimal(number: u32) -> ([u8; MAX_DIGITS], usize) {
    let digits = digits(number);
    // Of zero one digit is left.
    let zeros = (digits | 1 << 56).trailing_zeros() & !7;
    (((digits | in_each_byte(b'0')) >> zeros).to_le_bytes(), MAX_DIGITS - zeros as usize / 8)
}

/// Splits the number into halves of four digits, those into pairs, those into digits, all lanes at once. The factors divide
/// by 100 and by 10: 5243 / 2^19 is exact up to 9,999, and 103 / 2^10 up to 99.
#[inline(always)]
fn digits(number: u32) -> u64 {
    debug_assert!(number < LIMIT);
    let fours = u64::from(number / 10_000) | u64::from(number % 10_000) << 32;
    let hundreds = ((fours * 5243) >> 19) & 0x0000_007f_0000_007f;
    let pairs = hundreds | (fours - 100 * hundreds) << 16;
    let tens = ((pairs * 103) >> 10) & 0x000f_000f_000f_000f;
    tens | (pairs - 10 * tens) << 8
}

/// The highest bit of each byte.
const HIGH_BITS: u64 = in_each_byte(0x80);

/// `byte`, eight times.
const fn in_each_byte(byte: u8) -> u64 {
    u64::from_le_bytes([byte; 8])
}

/// Sets the highest bit of each byte that is no decimal digit. The other bits have no meaning, and no sum carries into the
/// next byte.
#[inline(always)]
fn mark_non_digits(word: u64) -> u64 {
    let difference = word ^ in_each_byte(b'0');
    ((difference & !HIGH_BITS) + in_each_byte(0x7f - 9)) | difference
}

/// The number that each two digits say, in the place of both: ten times the first plus the second, at most 99.
#[inline(always)]
fn pairs(digits: u64) -> u64 {
    (digits.wrapping_mul(10 << 8 | 1) >> 8) & 0x00ff_00ff_00ff_00ff
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn naive_leading_number(bytes: &[u8]) -> (u32, usize) {
        let digits = bytes.iter().take(MAX_DIGITS).take_while(|byte| byte.is_ascii_digit());
        digits.fold((0, 0), |(number, count), digit| (number * 10 + u32::from(digit - b'0'), count + 1))
    }

    fn naive_number_pairs(digits: [u8; MAX_DIGITS]) -> Option<[u32; 4]> {
        let digits = str::from_utf8(&digits).ok().filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()))?;
        Some([0, 2, 4, 6].map(|at| digits[at..at + 2].parse().expect("two digits")))
    }

    fn check_written(number: u32) {
        assert_eq!(eight_digits(number), *format!("{number:08}").as_bytes());
        let (digits, length) = to_decimal(number);
        assert_eq!(digits[..length], *number.to_string().as_bytes());
    }

    fn check_read(bytes: [u8; MAX_DIGITS]) {
        assert_eq!(leading_number(&bytes), Some(naive_leading_number(&bytes)), "{bytes:x?}");
        assert_eq!(number_pairs(bytes), naive_number_pairs(bytes), "{bytes:x?}");
    }

    #[test]
    fn every_four_digits_are_written_as_they_are() {
        (0..10_000).for_each(|four| check_written(four * 10_000 + 9999 - four));
        (0..10_000).for_each(check_written);
    }

    #[test]
    fn every_other_byte_ends_a_number_wherever_it_stands() {
        for (byte, place) in (0..=u8::MAX).flat_map(|byte| (0..MAX_DIGITS).map(move |place| (byte, place))) {
            let mut bytes = *b"98765432";
            bytes[place] = byte;
            check_read(bytes);
        }
        assert_eq!(leading_number(b"1234567"), None);
    }

    #[test]
    fn only_decimal_digits_are_a_number() {
        for (text, number) in [("0", Some(0)), ("007", Some(7)), ("4294967295", Some(u32::MAX)), ("4294967296", None)] {
            assert_eq!(parse_decimal(text.as_bytes()), number, "{text}");
        }
        for text in ["", " 1", "+1", "-1", "1.0", "0x1", "99999999999999999999999"] {
            assert_eq!(parse_decimal::<u64>(text.as_bytes()), None, "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn numbers_are_written_and_read_as_their_twins_do(number in 0..LIMIT, bytes: [u8; 8], end in "[0-9/:a]{8}") {
            check_written(number);
            check_read(bytes);
            check_read(*end.as_bytes().first_chunk().expect("eight bytes"));
        }
    }
}
