//! Text, sixteen bytes at a time.

use wide::u8x16;

/// Bytes of a block. Every x86-64 and aarch64 has registers of this size; `wide` names their instructions, which would
/// need `unsafe` otherwise.
const BLOCK_BYTES: usize = 16;

/// True if the first `length` bytes are UTF-8 without a control character (Unicode category Cc).
///
/// Fastest if they are at most 16 and `bytes` has 16 or more.
///
/// # Panics
/// If `bytes` is shorter than `length`.
#[inline(always)]
pub fn is_printable(bytes: &[u8], length: usize) -> bool {
    match bytes.first_chunk() {
        Some(block) if length <= BLOCK_BYTES && Block::new(block).begins_with_spanish(length) => true,
        _ => is_long_printable(bytes, length),
    }
}

#[inline(never)]
fn is_long_printable(bytes: &[u8], length: usize) -> bool {
    let mut start = 0;
    while start < length
        && let Some(block) = bytes[start..].first_chunk()
    {
        // A block may end with the first of the two bytes of a letter, which is left to the next block then.
        let end = if block.ends_with(&[0xc3]) { BLOCK_BYTES - 1 } else { BLOCK_BYTES };
        let end = end.min(length - start);
        if !Block::new(block).begins_with_spanish(end) {
            break;
        }
        start += end;
    }
    str::from_utf8(&bytes[start..length]).is_ok_and(|text| !text.chars().any(char::is_control))
}

/// Bytes in which [`printable_fields`] looks for commas.
pub const WINDOW_BYTES: usize = 4 * BLOCK_BYTES;

/// The ends of the first `N` fields, each at a comma. `None` if there are fewer commas, or if the text before the last of
/// them has a quote or is not printable.
///
/// It asks the whole window before it looks at one field, because a field that begins where the last one was found to end
/// keeps the processor waiting.
#[inline(always)]
pub fn printable_fields<const N: usize>(window: &[u8; WINDOW_BYTES]) -> Option<[usize; N]> {
    let bits = |ask: fn(Block) -> u32| {
        let blocks = window.as_chunks().0.iter().rev();
        blocks.fold(0_u64, |bits, block| bits << BLOCK_BYTES | u64::from(ask(Block::new(block))))
    };
    let mut commas = bits(|block| block.equal(b','));
    let mut ends = [0; N];
    for end in &mut ends {
        *end = (commas != 0).then_some(commas.trailing_zeros() as usize)?;
        commas &= commas - 1;
    }
    let length = ends.last().map_or(0, |&end| end);
    let fields = (1 << length) - 1;
    let (leads, continuations) = (bits(Block::leads) & fields, bits(Block::continuations) & fields);
    let is_spanish = continuations == leads << 1 && leads | continuations == bits(Block::beyond_ascii) & fields;
    let is_plain = bits(|block| block.controls() | block.equal(b'"')) & fields == 0;
    (is_plain && (is_spanish || is_long_printable(window, length))).then_some(ends)
}

/// True if the first `length` bytes have a comma or a quote, so that CSV must quote them.
///
/// # Panics
/// If `bytes` is shorter than `length`.
#[inline(always)]
pub fn has_separator(bytes: &[u8], length: usize) -> bool {
    match bytes.first_chunk() {
        Some(block) if length <= BLOCK_BYTES => Block::new(block).separators() & first(length) != 0,
        _ => bytes[..length].iter().any(|byte| matches!(byte, b'"' | b',')),
    }
}

/// Copies the first `length` bytes to the front of `room`, and maybe bytes behind them to what follows there.
///
/// Up to 16 bytes are copied by a pair of instructions if both slices have 16, and not by a call that depends on `length`.
///
/// # Panics
/// If `bytes` or `room` is shorter than `length`.
#[inline(always)]
pub fn copy(bytes: &[u8], length: usize, room: &mut [u8]) {
    match (bytes.first_chunk::<BLOCK_BYTES>(), room.first_chunk_mut::<BLOCK_BYTES>()) {
        (Some(block), Some(room)) if length <= BLOCK_BYTES => *room = *block,
        _ => room[..length].copy_from_slice(&bytes[..length]),
    }
}

/// A bit for each of the first `length` bytes of a block.
#[inline(always)]
fn first(length: usize) -> u32 {
    (1 << length) - 1
}

/// Sixteen bytes. The answer to a question about them has a bit for each, the lowest for the first.
#[derive(Clone, Copy)]
struct Block(u8x16);

impl Block {
    #[inline(always)]
    fn new(bytes: &[u8; BLOCK_BYTES]) -> Block {
        Block(u8x16::new(*bytes))
    }

    /// True if the first `length` bytes are UTF-8 of nothing but printable ASCII and U+00C0 to U+00FF, the letters of Spanish.
    /// In UTF-8 each of the latter is 0xC3 and a byte whose two highest bits are 10.
    ///
    /// It asks for them in every block: whether a name has an accent can't be predicted.
    #[inline(always)]
    fn begins_with_spanish(self, length: usize) -> bool {
        let name = first(length);
        let (leads, continuations) = (self.leads() & name, self.continuations() & name);
        let is_spanish = continuations == leads << 1 && leads | continuations == self.beyond_ascii() & name;
        self.controls() & name == 0 && is_spanish
    }

    #[inline(always)]
    fn beyond_ascii(self) -> u32 {
        self.0.to_bitmask()
    }

    #[inline(always)]
    fn leads(self) -> u32 {
        self.equal(0xc3)
    }

    #[inline(always)]
    fn continuations(self) -> u32 {
        (self.0 & u8x16::splat(0xc0)).simd_eq(u8x16::splat(0x80)).to_bitmask()
    }

    #[inline(always)]
    fn controls(self) -> u32 {
        self.0.min(u8x16::splat(0x1f)).simd_eq(self.0).to_bitmask() | self.equal(0x7f)
    }

    #[inline(always)]
    fn separators(self) -> u32 {
        self.equal(b'"') | self.equal(b',')
    }

    #[inline(always)]
    fn equal(self, byte: u8) -> u32 {
        self.0.simd_eq(u8x16::splat(byte)).to_bitmask()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn naive_is_printable(bytes: &[u8]) -> bool {
        str::from_utf8(bytes).is_ok_and(|text| !text.chars().any(char::is_control))
    }

    fn naive_fields<const N: usize>(window: &[u8]) -> Option<[usize; N]> {
        let mut commas = (0..window.len()).filter(|&place| window[place] == b',');
        let ends: Vec<usize> = commas.by_ref().take(N).collect();
        let ends = <[usize; N]>::try_from(ends).ok()?;
        let fields = &window[..ends[N - 1]];
        (naive_is_printable(fields) && !fields.contains(&b'"')).then_some(ends)
    }

    fn naive_has_separator(bytes: &[u8]) -> bool {
        bytes.contains(&b',') || bytes.contains(&b'"')
    }

    /// Compares every function with its twin, for the first `length` of `bytes`.
    fn check(bytes: &[u8], length: usize) {
        assert_eq!(is_printable(bytes, length), naive_is_printable(&bytes[..length]), "{length} of {bytes:x?}");
        assert_eq!(has_separator(bytes, length), naive_has_separator(&bytes[..length]), "{length} of {bytes:x?}");
        let mut window = [b'x'; WINDOW_BYTES];
        let at_most = bytes.len().min(WINDOW_BYTES);
        window[..at_most].copy_from_slice(&bytes[..at_most]);
        assert_eq!(printable_fields::<1>(&window), naive_fields(&window), "{window:x?}");
        assert_eq!(printable_fields::<3>(&window), naive_fields(&window), "{window:x?}");
        for behind in [0, BLOCK_BYTES] {
            let mut room = vec![0; length + behind];
            copy(bytes, length, &mut room);
            assert_eq!(room[..length], bytes[..length], "{length} of {bytes:x?}");
        }
    }

    #[test]
    fn every_byte_is_judged_the_same_wherever_it_stands() {
        for (byte, place) in (0..=u8::MAX).flat_map(|byte| (0..20).map(move |place| (byte, place))) {
            for neighbour in [0x00, b' ', b'a', b',', 0x7f, 0x80, 0xb1, 0xc3, 0xff] {
                let mut bytes = [neighbour; 40];
                bytes[place] = byte;
                check(&bytes, place + 1);
                bytes[place + 1] = b',';
                check(&bytes, place + 1);
            }
        }
    }

    #[test]
    fn a_character_that_is_cut_is_refused_wherever_it_is() {
        let ends: [&[u8]; 6] = [b"\xc3\xb1", b"\xc3", b"\xb1", b"\xc3a", b"\xc3\xc3\xb1", b"\xc2\x85"];
        for (before, end) in (0..3 * BLOCK_BYTES).flat_map(|before| ends.map(|end| (before, end))) {
            for behind in [&b""[..], &[0xb1; BLOCK_BYTES], &[b','; BLOCK_BYTES]] {
                check(&[&vec![b'a'; before], end, behind].concat(), before + end.len());
            }
        }
    }

    #[test]
    fn control_characters_beyond_ascii_are_found() {
        for control in '\u{80}'..='\u{9f}' {
            let text = format!("ñ{control},{}", "a".repeat(BLOCK_BYTES));
            check(text.as_bytes(), 4);
            assert!(!is_printable(text.as_bytes(), 4));
        }
    }

    proptest! {
        #[test]
        fn any_text_is_judged_as_its_twin_does(
            bytes in prop_oneof![
                any::<Vec<u8>>(),
                ".{0,40}".prop_map(String::into_bytes),
                "[a-c ñ,\"\t\u{100}\u{85}]{0,60}".prop_map(String::into_bytes),
                prop::collection::vec(prop_oneof![Just(0xc3), Just(0x80), Just(0xbf), Just(b'a'), Just(0xc4)], 0..40),
            ],
            length: prop::sample::Index,
        ) {
            check(&bytes, length.index(bytes.len() + 1));
        }
    }
}
