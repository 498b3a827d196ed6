//! Text by sixteen bytes and numbers by eight digits: quicker than one at a time.

use wide::{u8x16, u16x8};

/// Bytes that are looked at together.
pub const BLOCK_BYTES: usize = 16;

/// What is known of a text once its bytes were looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Look {
    /// Whether it is UTF-8 with nothing in it but ASCII and U+00C0 to U+00FF, which is what Spanish needs. Each of the latter is
    /// 0xC3 and one more byte, whose two highest bits are 10.
    pub is_spanish: bool,
    /// Whether it has no special byte: none of the control characters of ASCII, no `"` and no `,`.
    pub is_plain: bool,
}

/// Looks at the first `length` of `bytes`. It costs least if those are at most [`BLOCK_BYTES`], and as many are there.
#[inline(always)]
pub fn look(bytes: &[u8], length: usize) -> Look {
    match bytes.first_chunk() {
        Some(block) if length <= BLOCK_BYTES => Block::new(block).look(length as u32),
        _ => look_at_all(&bytes[..length]),
    }
}

/// How many bytes at the front of `bytes` are not special, and whether those are Spanish: see [`Look`]. `None` if none is special
/// within the whole blocks of `bytes`.
#[inline(always)]
pub fn plain_front(bytes: &[u8]) -> Option<(usize, bool)> {
    let block = Block::new(bytes.first_chunk()?);
    match block.special() {
        0 => long_plain_front(bytes),
        special => {
            let length = special.trailing_zeros();
            Some((length as usize, block.look(length).is_spanish))
        }
    }
}

#[inline(never)]
fn long_plain_front(bytes: &[u8]) -> Option<(usize, bool)> {
    let blocks = bytes.as_chunks::<BLOCK_BYTES>().0.iter().map(|block| Block::new(block).special());
    let (blocks, special) = blocks.enumerate().find(|(_, special)| *special != 0)?;
    let length = BLOCK_BYTES * blocks + special.trailing_zeros() as usize;
    Some((length, look_at_all(&bytes[..length]).is_spanish))
}

#[inline(never)]
fn look_at_all(bytes: &[u8]) -> Look {
    let mut look = Look { is_spanish: true, is_plain: true };
    let mut is_in_character = 0;
    for bytes in bytes.chunks(BLOCK_BYTES) {
        let mut block = [b'a'; BLOCK_BYTES];
        block[..bytes.len()].copy_from_slice(bytes);
        let block = Block::new(&block);
        let (leads, goes_on) = (block.leads(), block.goes_on());
        let should_go_on = leads << 1 | is_in_character;
        is_in_character = should_go_on >> BLOCK_BYTES;
        look.is_spanish &= should_go_on == goes_on | is_in_character << BLOCK_BYTES;
        look.is_spanish &= leads | goes_on == block.beyond_ascii();
        look.is_plain &= block.special() == 0;
    }
    look.is_spanish &= is_in_character == 0;
    look
}

/// Sixteen bytes. Questions about them are answered by a bit for each, the lowest for the first.
#[derive(Clone, Copy)]
struct Block(u8x16);

impl Block {
    #[inline(always)]
    fn new(bytes: &[u8; BLOCK_BYTES]) -> Block {
        Block(u8x16::new(*bytes))
    }

    /// Looks at the first `length` of them.
    #[inline(always)]
    fn look(self, length: u32) -> Look {
        let these = (1 << length) - 1;
        Look {
            is_spanish: self.beyond_ascii() & these == 0 || self.is_spanish_beyond_ascii(these),
            is_plain: self.special() & these == 0,
        }
    }

    /// Whether `these` bytes are Spanish, if some of them are beyond ASCII.
    #[inline(always)]
    fn is_spanish_beyond_ascii(self, these: u32) -> bool {
        let (leads, goes_on) = (self.leads() & these, self.goes_on() & these);
        goes_on == leads << 1 && leads | goes_on == self.beyond_ascii() & these
    }

    #[inline(always)]
    fn beyond_ascii(self) -> u32 {
        self.0.to_bitmask()
    }

    /// The first of the two bytes of U+00C0 to U+00FF.
    #[inline(always)]
    fn leads(self) -> u32 {
        self.0.simd_eq(u8x16::splat(0xc3)).to_bitmask()
    }

    /// All but the first byte of a character beyond ASCII.
    #[inline(always)]
    fn goes_on(self) -> u32 {
        (self.0 & u8x16::splat(0xc0)).simd_eq(u8x16::splat(0x80)).to_bitmask()
    }

    /// See [`Look::is_plain`].
    #[inline(always)]
    fn special(self) -> u32 {
        let is = |byte| self.0.simd_eq(u8x16::splat(byte));
        let is_control = self.0.min(u8x16::splat(0x1f)).simd_eq(self.0) | is(0x7f);
        (is_control | is(b'"') | is(b',')).to_bitmask()
    }
}

/// The highest bit of each byte.
const FOUND: u64 = in_each_byte(0x80);

/// `byte`, eight times.
const fn in_each_byte(byte: u8) -> u64 {
    u64::from_le_bytes([byte; 8])
}

/// The number that up to eight decimal digits at the front of `bytes` say, and how many those are. `None` if there are fewer
/// than eight bytes.
#[inline(always)]
pub fn leading_number(bytes: &[u8]) -> Option<(u32, usize)> {
    let word = u64::from_le_bytes(*bytes.first_chunk()?);
    let bits = (no_digits(word) & FOUND).trailing_zeros() & !7;
    Some((value(word.unbounded_shl(u64::BITS - bits)), bits as usize / 8))
}

/// The numbers that eight decimal digits say, each two of them one.
#[inline(always)]
pub fn number_pairs(digits: [u8; 8]) -> Option<[u32; 4]> {
    let word = u64::from_le_bytes(digits);
    (no_digits(word) & FOUND == 0).then(|| {
        let pairs = pairs(word);
        [0, 16, 32, 48].map(|bits| (pairs >> bits) as u32 & 0xff)
    })
}

/// Finds bytes that are no decimal digits: those have their highest bit set in what is returned, whose other bits say nothing. No
/// sum carries from one byte into the next.
fn no_digits(word: u64) -> u64 {
    let difference = word ^ in_each_byte(b'0');
    ((difference & !FOUND) + in_each_byte(0x7f - 9)) | difference
}

/// The number that digits and, before them, zero bytes say: first each two of them together, then each four, then all.
fn value(digits: u64) -> u32 {
    let fours = (pairs(digits).wrapping_mul(100 << 16 | 1) >> 16) & 0x0000_ffff_0000_ffff;
    (fours.wrapping_mul(10_000 << 32 | 1) >> 32) as u32
}

fn pairs(digits: u64) -> u64 {
    let ones = digits & in_each_byte(0x0f);
    (ones.wrapping_mul(10 << 8 | 1) >> 8) & 0x00ff_00ff_00ff_00ff
}

/// Decimal digits that a number may have to be written here.
pub const MAX_DIGITS: usize = 8;

/// The decimal digits of two numbers, each of which is given as two numbers: its first four digits and its last four.
#[inline(always)]
pub fn all_digits(fours: [[u32; 2]; 2]) -> [[u8; MAX_DIGITS]; 2] {
    // A lane becomes two digits: the first two of a number of four, or the last two, in turn.
    const IS_LAST: u16x8 = u16x8::new([0, !0, 0, !0, 0, !0, 0, !0]);
    const LESS_HUNDREDS: u16x8 = u16x8::new([!0, 100, !0, 100, !0, 100, !0, 100]);
    let [[a, b], [c, d]] = fours.map(|number| number.map(|four| four as u16));
    let fours = u16x8::new([a, a, b, b, c, c, d, d]);
    // Dividing by multiplying is exact for numbers of as many digits.
    let hundreds: u16x8 = fours.mul_keep_high(u16x8::splat(5243)) >> 3;
    let pairs: u16x8 = (fours & IS_LAST) - hundreds * LESS_HUNDREDS;
    let tens: u16x8 = pairs.mul_keep_high(u16x8::splat(6554));
    let digits: u16x8 = tens | (pairs - tens * u16x8::splat(10)) << 8 | u16x8::splat(u16::from_le_bytes([b'0'; 2]));
    let [[a, b], [c, d], [e, f], [g, h], [i, j], [k, l], [m, n], [o, p]] = digits.to_array().map(u16::to_le_bytes);
    [[a, b, c, d, e, f, g, h], [i, j, k, l, m, n, o, p]]
}

/// `digits` without the zeros before the number, at the front, and how many those are. A zero is one digit.
#[inline(always)]
pub fn trimmed(digits: [u8; MAX_DIGITS]) -> ([u8; MAX_DIGITS], usize) {
    let word = u64::from_le_bytes(digits);
    let zeros = ((word ^ in_each_byte(b'0')) | 1 << 56).trailing_zeros() & !7;
    ((word >> zeros).to_le_bytes(), MAX_DIGITS - zeros as usize / 8)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn is_special(byte: u8) -> bool {
        byte.is_ascii_control() || matches!(byte, b'"' | b',')
    }

    fn is_spanish(bytes: &[u8]) -> bool {
        let is_letter = |letter: char| letter.is_ascii() || ('\u{c0}'..='\u{ff}').contains(&letter);
        str::from_utf8(bytes).is_ok_and(|text| text.chars().all(is_letter))
    }

    #[test]
    fn each_byte_is_special_by_itself_wherever_it_stands() {
        for (byte, place) in (0..=u8::MAX).flat_map(|byte| (0..BLOCK_BYTES).map(move |place| (byte, place))) {
            for neighbour in [0x00, b' ', b'a', 0x7f, 0x80, 0xff] {
                let mut bytes = [neighbour; BLOCK_BYTES];
                bytes[place] = byte;
                assert_eq!(Block::new(&bytes).special() & 1 << place != 0, is_special(byte), "{byte:#x} in {bytes:x?}");
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
        assert_eq!(number_pairs(*b"00990100"), Some([0, 99, 1, 0]));
        for place in 0..8 {
            for other in [b'/', b':', b' ', 0x00, 0xb5] {
                let mut digits = *b"99999999";
                digits[place] = other;
                assert_eq!(number_pairs(digits), None, "{digits:x?}");
            }
        }
    }

    proptest! {
        #[test]
        fn text_is_plain_up_to_its_first_special_byte(bytes in "[a-c ñ,\"\t\u{100}]{0,60}".prop_map(String::into_bytes)) {
            let end = bytes.iter().position(|&byte| is_special(byte));
            let expected = end.filter(|&end| end < bytes.len() / BLOCK_BYTES * BLOCK_BYTES).map(|end| (end, is_spanish(&bytes[..end])));
            prop_assert_eq!(plain_front(&bytes), expected);
        }

        #[test]
        fn what_is_seen_of_a_text_is_what_it_is(
            bytes in prop_oneof![
                any::<Vec<u8>>(),
                "[a-zñáÀÿ\u{bf}\u{100},]{0,40}".prop_map(String::into_bytes),
                prop::collection::vec(prop_oneof![Just(0xc3), Just(0x80), Just(0xbf), Just(b'a'), Just(0xc4)], 0..40),
            ],
            more: [u8; 20],
            more_bytes in 0..20_usize,
        ) {
            let length = bytes.len();
            let look = Look { is_spanish: is_spanish(&bytes), is_plain: !bytes.iter().any(|&byte| is_special(byte)) };
            let bytes = [bytes.as_slice(), &more[..more_bytes]].concat();
            prop_assert_eq!(super::look(&bytes, length), look);
        }

        #[test]
        fn a_number_is_its_digits(number in 0_u32..100_000_000, other in 0_u32..100_000_000, fewer in 0..9_u32) {
            let fours = |number: u32| [number / 10_000, number % 10_000];
            let number = number % 10_u32.pow(fewer);
            let [digits, other_digits] = all_digits([fours(number), fours(other)]);
            prop_assert_eq!(digits.to_vec(), format!("{number:08}").into_bytes());
            prop_assert_eq!(other_digits.to_vec(), format!("{other:08}").into_bytes());
            let (digits, length) = trimmed(digits);
            prop_assert_eq!(digits[..length].to_vec(), number.to_string().into_bytes());
        }
    }
}
