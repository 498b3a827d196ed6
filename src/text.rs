//! Text by sixteen bytes and decimal numbers by eight digits, at a fraction of what a byte at a time costs. Sixteen bytes are what
//! every x86-64 and aarch64 has registers for; `wide` gives names to their instructions, which would need `unsafe` otherwise.

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

/// Looks at the first `length` of `bytes`. Quickest if those are at most [`BLOCK_BYTES`], and `bytes` has at least as many.
///
/// # Panics
/// If `bytes` is shorter.
#[inline(always)]
pub fn look(bytes: &[u8], length: usize) -> Look {
    match bytes.first_chunk() {
        Some(block) if length <= BLOCK_BYTES => Block::new(block).look(length as u32),
        _ => look_at_all(&bytes[..length]),
    }
}

/// Where the first special byte of `bytes` is, and what is seen of the bytes before it. `None` if there is none within the whole
/// blocks of `bytes`: the rest is not looked at.
#[inline(always)]
pub fn plain_front(bytes: &[u8]) -> Option<(usize, Look)> {
    let block = Block::new(bytes.first_chunk()?);
    match block.special() {
        0 => long_plain_front(bytes),
        special => {
            let length = special.trailing_zeros();
            Some((length as usize, Look { is_plain: true, ..block.look(length) }))
        }
    }
}

#[inline(never)]
fn long_plain_front(bytes: &[u8]) -> Option<(usize, Look)> {
    let blocks = bytes.as_chunks::<BLOCK_BYTES>().0.iter().map(|block| Block::new(block).special());
    let (blocks, special) = blocks.enumerate().find(|(_, special)| *special != 0)?;
    let length = BLOCK_BYTES * blocks + special.trailing_zeros() as usize;
    Some((length, look_at_all(&bytes[..length])))
}

/// Looks at any text. That could be a byte at a time, and cost 30 instructions more a bet: one name in twenty is longer than a block.
#[inline(never)]
fn look_at_all(bytes: &[u8]) -> Look {
    let mut look = Look { is_spanish: true, is_plain: true };
    let mut carried = 0;
    for bytes in bytes.chunks(BLOCK_BYTES) {
        // Letters behind the end: neither special nor beyond ASCII.
        let mut block = [b'a'; BLOCK_BYTES];
        block[..bytes.len()].copy_from_slice(bytes);
        let block = Block::new(&block);
        let (leads, goes_on) = (block.leads(), block.goes_on());
        // Where a character must go on. Beyond this block, that is at the first byte of the next.
        let due = leads << 1 | carried;
        carried = due >> BLOCK_BYTES;
        look.is_spanish &= due == goes_on | carried << BLOCK_BYTES && leads | goes_on == block.beyond_ascii();
        look.is_plain &= block.special() == 0;
    }
    look.is_spanish &= carried == 0;
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
const HIGH_BITS: u64 = in_each_byte(0x80);

/// `byte`, eight times.
const fn in_each_byte(byte: u8) -> u64 {
    u64::from_le_bytes([byte; 8])
}

/// The number that up to eight decimal digits at the front of `bytes` say, and how many those are. `None` if there are fewer
/// than eight bytes.
#[inline(always)]
pub fn leading_number(bytes: &[u8]) -> Option<(u32, usize)> {
    let word = u64::from_le_bytes(*bytes.first_chunk()?);
    let bits = (mark_non_digits(word) & HIGH_BITS).trailing_zeros() & !7;
    Some((value(word.unbounded_shl(u64::BITS - bits)), bits as usize / 8))
}

/// The numbers, 0 to 99, that each two of eight decimal digits say. `None` if one of them is no digit.
#[inline(always)]
pub fn number_pairs(digits: [u8; 8]) -> Option<[u32; 4]> {
    let word = u64::from_le_bytes(digits);
    (mark_non_digits(word) & HIGH_BITS == 0).then(|| {
        let numbers = pairs(word);
        [0, 16, 32, 48].map(|bits| (numbers >> bits) as u32 & 0xff)
    })
}

/// Marks bytes that are no decimal digits by their highest bit. The other bits say nothing, and no sum carries from one byte into
/// the next.
fn mark_non_digits(word: u64) -> u64 {
    let difference = word ^ in_each_byte(b'0');
    ((difference & !HIGH_BITS) + in_each_byte(0x7f - 9)) | difference
}

/// The number that digits and, before them, zero bytes say: first each two of them together, then each four, then all.
fn value(digits: u64) -> u32 {
    let fours = (pairs(digits).wrapping_mul(100 << 16 | 1) >> 16) & 0x0000_ffff_0000_ffff;
    (fours.wrapping_mul(10_000 << 32 | 1) >> 32) as u32
}

/// Each two digits together, in the place of both: ten times the first is added to the second, which stays below 100.
fn pairs(digits: u64) -> u64 {
    let ones = digits & in_each_byte(0x0f);
    (ones.wrapping_mul(10 << 8 | 1) >> 8) & 0x00ff_00ff_00ff_00ff
}

/// Decimal digits that a number may have to be written here.
pub const MAX_DIGITS: usize = 8;
/// The highest number that has no more.
pub const MAX_WRITTEN: u32 = 10_u32.pow(MAX_DIGITS as u32) - 1;

/// The decimal digits of two numbers, each of which is given as two numbers below 10,000: its first four digits and its last four.
#[inline(always)]
pub fn digits_of_two(fours: [[u32; 2]; 2]) -> [[u8; MAX_DIGITS]; 2] {
    // A lane becomes two digits: the first two of four, which are the hundreds, or the last two, which are what those leave.
    const IS_LAST: u16x8 = u16x8::new([0, !0, 0, !0, 0, !0, 0, !0]);
    const LESS_HUNDREDS: u16x8 = u16x8::new([!0, 100, !0, 100, !0, 100, !0, 100]);
    debug_assert!(fours.as_flattened().iter().all(|&four| four < 10_000));
    let [[a, b], [c, d]] = fours.map(|number| number.map(|four| four as u16));
    let fours = u16x8::new([a, a, b, b, c, c, d, d]);
    // 5243 / 2^19 is a hundredth, exactly enough up to 9,999, and 6554 / 2^16 a tenth up to 99.
    let hundreds: u16x8 = fours.mul_keep_high(u16x8::splat(5243)) >> 3;
    let pairs: u16x8 = (fours & IS_LAST) - hundreds * LESS_HUNDREDS;
    let tens: u16x8 = pairs.mul_keep_high(u16x8::splat(6554));
    let digits: u16x8 = tens | (pairs - tens * u16x8::splat(10)) << 8 | u16x8::splat(u16::from_le_bytes([b'0'; 2]));
    let [[a, b], [c, d], [e, f], [g, h], [i, j], [k, l], [m, n], [o, p]] = digits.to_array().map(u16::to_le_bytes);
    [[a, b, c, d, e, f, g, h], [i, j, k, l, m, n, o, p]]
}

/// `digits` without leading zeros, with zero bytes behind them, and how many those are. Of a zero one digit is left.
#[inline(always)]
pub fn without_leading_zeros(digits: [u8; MAX_DIGITS]) -> ([u8; MAX_DIGITS], usize) {
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

    #[test]
    fn a_character_that_is_cut_is_not_spanish_wherever_it_is() {
        let ends: [(&[u8], bool); 6] = [
            (b"\xc3\xb1", true),
            (b"\xc3", false),
            (b"\xb1", false),
            (b"\xc3a", false),
            (b"\xc3\xc3\xb1", false),
            (b"\xc2\x85", false),
        ];
        for (before, (end, expected)) in (0..3 * BLOCK_BYTES).flat_map(|before| ends.map(|end| (before, end))) {
            for more in [0, BLOCK_BYTES] {
                let bytes = [vec![b'a'; before], end.to_vec(), vec![0xb1; more]].concat();
                let is_spanish = look(&bytes, before + end.len()).is_spanish;
                assert_eq!(is_spanish, expected, "{before} letters, {end:x?}, {more} bytes behind");
            }
        }
    }

    #[test]
    fn every_number_is_its_digits() {
        for four in 0..10_000 {
            let other = 9999 - four;
            let [digits, other_digits] = digits_of_two([[four, other], [other, four]]);
            assert_eq!(str::from_utf8(&digits), Ok(format!("{four:04}{other:04}").as_str()));
            assert_eq!(str::from_utf8(&other_digits), Ok(format!("{other:04}{four:04}").as_str()));
            let (digits, length) = without_leading_zeros(digits_of_two([[0, four], [0, 0]])[0]);
            assert_eq!(str::from_utf8(&digits[..length]), Ok(four.to_string().as_str()));
        }
    }

    proptest! {
        #[test]
        fn text_is_plain_up_to_its_first_special_byte(bytes in "[a-c ñ,\"\t\u{100}]{0,60}".prop_map(String::into_bytes)) {
            let whole_blocks = bytes.len() / BLOCK_BYTES * BLOCK_BYTES;
            let end = bytes.iter().position(|&byte| is_special(byte)).filter(|&end| end < whole_blocks);
            let expected = end.map(|end| (end, Look { is_spanish: is_spanish(&bytes[..end]), is_plain: true }));
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
            let expected = Look { is_spanish: is_spanish(&bytes), is_plain: !bytes.iter().any(|&byte| is_special(byte)) };
            let bytes = [bytes.as_slice(), &more[..more_bytes]].concat();
            prop_assert_eq!(look(&bytes, length), expected);
        }
    }
}
