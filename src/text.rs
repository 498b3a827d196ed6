//! Text by the word and numbers by the pair of digits: quicker than a byte at a time, and most text has no byte in it that
//! is worth a second look.
//!
//! Of a word of eight bytes, the functions that find something give another word, in which the highest bit of each byte
//! where they found it is set; its other bits say nothing. No sum in them carries from one byte into the next.

/// The highest bit of each byte.
pub const FOUND: u64 = in_each_byte(0x80);

/// `byte`, eight times.
const fn in_each_byte(byte: u8) -> u64 {
    u64::from_le_bytes([byte; 8])
}

/// Finds whatever ASCII has that is not just text: control characters, `"`, `,`, and a few others that lie between those.
/// Letters, digits, space, `-` and `.` are not found, and no byte beyond ASCII.
pub fn special(word: u64) -> u64 {
    let ascii = word & !FOUND;
    let above_comma = ascii + in_each_byte(0x7f - b',');
    let not_space = (ascii ^ in_each_byte(b' ')) + in_each_byte(0x7f);
    let delete = ascii + in_each_byte(0x80 - 0x7f);
    ((!above_comma & not_space) | delete) & !word
}

/// The words of `bytes`, for who wants to know whether something is anywhere among them: some bytes may be in two of these words,
/// and letters may be there that are not in `bytes`.
#[inline(always)]
pub fn for_each_word(bytes: &[u8], mut look: impl FnMut(u64)) {
    if let Some(last) = bytes.last_chunk() {
        bytes.as_chunks().0.iter().for_each(|word| look(u64::from_le_bytes(*word)));
        // Costs less than looking at each of those bytes that no word before it has.
        look(u64::from_le_bytes(*last));
    } else if let (Some(first), Some(last)) = (bytes.first_chunk(), bytes.last_chunk()) {
        look(u64::from(u32::from_le_bytes(*first)) | u64::from(u32::from_le_bytes(*last)) << 32);
    } else if let (Some(&first), Some(&last)) = (bytes.first(), bytes.last()) {
        look(u64::from_le_bytes([first, bytes[bytes.len() / 2], last, b'a', b'a', b'a', b'a', b'a']));
    }
}

/// Whether `bytes` are UTF-8 with nothing in it but ASCII and U+00C0 to U+00FF, which is what Spanish needs. Each of those is
/// 0xC3 and one more byte, whose two highest bits are 10.
pub fn is_spanish(bytes: &[u8]) -> bool {
    let mut bytes = bytes.iter();
    while let Some(&byte) = bytes.next() {
        if !byte.is_ascii() && (byte != 0xc3 || bytes.next().is_none_or(|second| second & 0xc0 != 0x80)) {
            return false;
        }
    }
    true
}

/// How many bytes at the front of `bytes` are not [special](special), and whether all of those are ASCII. `None` if there is no
/// special byte within the whole words of `bytes`.
#[inline(always)]
pub fn plain_front(bytes: &[u8]) -> Option<(usize, bool)> {
    let mut seen = 0;
    for (words, word) in bytes.as_chunks().0.iter().enumerate() {
        let word = u64::from_le_bytes(*word);
        let found = special(word) & FOUND;
        if found != 0 {
            let bits = found.trailing_zeros() & !7;
            seen |= word & !(u64::MAX << bits);
            return Some((8 * words + bits as usize / 8, seen & FOUND == 0));
        }
        seen |= word;
    }
    None
}

/// The number that up to eight decimal digits at the front of `bytes` say, and how many those are. `None` if there are fewer
/// than eight bytes.
#[inline(always)]
pub fn leading_number(bytes: &[u8]) -> Option<(u32, usize)> {
    let word = u64::from_le_bytes(*bytes.first_chunk()?);
    let bits = (no_digits(word) & FOUND).trailing_zeros() & !7;
    Some((value(word.unbounded_shl(u64::BITS - bits)), bits as usize / 8))
}

/// The number that a word of eight decimal digits says.
#[inline(always)]
pub fn eight_digits(word: u64) -> Option<u32> {
    (no_digits(word) & FOUND == 0).then(|| value(word))
}

/// Finds bytes that are no decimal digits.
fn no_digits(word: u64) -> u64 {
    let difference = word ^ in_each_byte(b'0');
    ((difference & !FOUND) + in_each_byte(0x7f - 9)) | difference
}

/// The number that digits and, before them, zero bytes say: first each two of them together, then each four, then all.
fn value(digits: u64) -> u32 {
    let ones = digits & in_each_byte(0x0f);
    let pairs = (ones.wrapping_mul(10 << 8 | 1) >> 8) & 0x00ff_00ff_00ff_00ff;
    let fours = (pairs.wrapping_mul(100 << 16 | 1) >> 16) & 0x0000_ffff_0000_ffff;
    (fours.wrapping_mul(10_000 << 32 | 1) >> 32) as u32
}

/// `number`, below 100, as two decimal digits.
pub fn two_digits(number: u32) -> [u8; 2] {
    DIGITS[number as usize]
}

const DIGITS: [[u8; 2]; 100] = {
    let mut pairs = [[b'0'; 2]; 100];
    let mut number = 0;
    while number < 100 {
        pairs[number] = [b'0' + (number / 10) as u8, b'0' + (number % 10) as u8];
        number += 1;
    }
    pairs
};

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn each_byte_is_found_by_itself_wherever_it_stands() {
        for (byte, place) in (0..=u8::MAX).flat_map(|byte| (0..8).map(move |place| (byte, place))) {
            for neighbour in [0x00, b' ', b'a', 0x7f, 0x80, 0xff] {
                let mut bytes = [neighbour; 8];
                bytes[place] = byte;
                let word = u64::from_le_bytes(bytes);
                let found = |marks: u64| marks & (0x80 << (8 * place)) != 0;
                let is_special = byte.is_ascii_control() || (byte <= b',' && byte != b' ');
                assert_eq!(found(special(word)), is_special, "{byte:#x} in {bytes:x?}");
            }
        }
    }

    #[test]
    fn numbers_of_every_length_are_read_up_to_their_end() {
        for digits in 0..=8 {
            for end in [b',', b'/', b':', b'a', 0x00, 0xb5] {
                let number = "98765432".get(..digits).expect("there are as many");
                let mut bytes = number.as_bytes().to_vec();
                bytes.resize(9, end);
                assert_eq!(leading_number(&bytes), Some((number.parse().unwrap_or(0), digits)), "{bytes:x?}");
            }
        }
        assert_eq!(leading_number(b"1234567"), None);
        assert_eq!(eight_digits(u64::from_le_bytes(*b"00000000")), Some(0));
        assert_eq!(eight_digits(u64::from_le_bytes(*b"99999999")), Some(99_999_999));
        assert_eq!(eight_digits(u64::from_le_bytes(*b"9999999 ")), None);
    }

    proptest! {
        #[test]
        fn text_is_plain_up_to_its_first_special_byte(bytes in "[a-c ñ,\"\t]{0,40}".prop_map(String::into_bytes)) {
            let end = bytes.iter().position(|byte| matches!(byte, b',' | b'"' | b'\t'));
            let expected = end.filter(|&end| end < bytes.len() / 8 * 8).map(|end| (end, bytes[..end].is_ascii()));
            prop_assert_eq!(plain_front(&bytes), expected);
        }

        #[test]
        fn every_byte_is_in_a_word_and_besides_there_are_letters(bytes: Vec<u8>) {
            let mut seen = Vec::new();
            for_each_word(&bytes, |word| seen.extend(word.to_le_bytes()));
            prop_assert!(bytes.iter().all(|byte| seen.contains(byte)));
            prop_assert!(seen.iter().all(|byte| bytes.contains(byte) || *byte == b'a'));
        }

        #[test]
        fn spanish_is_just_what_it_is_said_to_be(bytes in prop_oneof![
            any::<Vec<u8>>(),
            "[a-zñáÀÿ\u{bf}\u{100}]{0,20}".prop_map(String::into_bytes),
            prop::collection::vec(prop_oneof![Just(0xc3), Just(0x80), Just(0xbf), Just(b'a'), Just(0xc4)], 0..20),
        ]) {
            let is_spanish = str::from_utf8(&bytes)
                .is_ok_and(|text| text.chars().all(|letter| letter.is_ascii() || ('\u{c0}'..='\u{ff}').contains(&letter)));
            prop_assert_eq!(super::is_spanish(&bytes), is_spanish);
        }
    }
}
