//! Bytes to bits: one comparison, one bit a pixel.
//!
//! The compiler does not find the instruction that collects sixteen comparisons into sixteen bits. When it was chosen,
//! on 2026-11-20, a loop over 16 MB took 0.8 ms with it, 1.9 ms with the portable form and 6.3 ms with plain shifts, on a
//! shared x86-64 machine. Hence the one unsafe call of the engine; the portable form beside it is what other processors
//! run and what the tests hold it against. `cargo bench --bench stages -- mask` times the stage as it is now.

/// Sets the bit of each value that is `least` or more; a `least` over 255 sets none. `words` holds one bit a value,
/// rounded up to whole words, the rest zero.
pub(super) fn pack_at_least(values: &[u8], least: u16, words: &mut [u64]) {
    let Ok(least) = u8::try_from(least) else {
        words.fill(0);
        return;
    };
    let (chunks, rest) = values.as_chunks::<64>();
    for (word, chunk) in words.iter_mut().zip(chunks) {
        *word = pack_64(chunk, least);
    }
    if let (Some(last), false) = (words.last_mut(), rest.is_empty()) {
        *last = rest.iter().enumerate().fold(0, |word, (i, &a)| word | (u64::from(a >= least) << i));
    }
}

#[cfg(target_arch = "x86_64")]
#[expect(unsafe_code, reason = "SSE2 is a part of every x86-64 processor; figures above")]
fn pack_64(chunk: &[u8; 64], least: u8) -> u64 {
    // SAFETY: the function needs SSE2 and nothing else, and SSE2 is in the baseline of this target.
    unsafe { pack_64_sse2(chunk, least) }
}

#[cfg(not(target_arch = "x86_64"))]
use pack_64_portable as pack_64;

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "sse2")]
fn pack_64_sse2(chunk: &[u8; 64], least: u8) -> u64 {
    use std::arch::x86_64::{_mm_cmpeq_epi8, _mm_max_epu8, _mm_movemask_epi8, _mm_set_epi64x, _mm_set1_epi8};
    let least = _mm_set1_epi8(least.cast_signed());
    let (halves, _) = chunk.as_chunks::<8>();
    let (pairs, _) = halves.as_chunks::<2>();
    pairs.iter().enumerate().fold(0, |word, (i, [low, high])| {
        let sixteen = _mm_set_epi64x(i64::from_le_bytes(*high), i64::from_le_bytes(*low));
        // There is no unsigned comparison: a >= b exactly where the maximum of both is a.
        let at_least = _mm_cmpeq_epi8(_mm_max_epu8(sixteen, least), sixteen);
        word | (u64::from(_mm_movemask_epi8(at_least).cast_unsigned()) << (16 * i))
    })
}

/// Eight bytes at a time in one register: the top bit of each byte becomes the comparison, a multiplication
/// collects the eight top bits.
#[cfg(any(test, not(target_arch = "x86_64")))]
fn pack_64_portable(chunk: &[u8; 64], least: u8) -> u64 {
    const EACH: u64 = 0x0101_0101_0101_0101;
    const TOP: u64 = EACH << 7;
    let complement = u64::from(128 - (least & 127)) * EACH;
    let (eights, _) = chunk.as_chunks::<8>();
    eights.iter().enumerate().fold(0, |word, (i, eight)| {
        let eight = u64::from_le_bytes(*eight);
        // The low seven bits carry into the top bit where they are at least those of `least`.
        let low = (eight & !TOP) + complement;
        let at_least = if least >= 128 { low & eight } else { low | eight } & TOP;
        word | ((at_least >> 7).wrapping_mul(0x0102_0408_1020_4080) >> 56) << (8 * i)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packing_is_the_comparison_of_each_byte_for_every_threshold() {
        let all: Vec<u8> = (0..=255).chain((0..=255).rev()).collect();
        for least in 0..=255u8 {
            for chunk in all.as_chunks::<64>().0 {
                let expected = chunk.iter().enumerate().fold(0, |w, (i, &a)| w | (u64::from(a >= least) << i));
                assert_eq!(pack_64(chunk, least), expected, "least {least}");
                assert_eq!(pack_64_portable(chunk, least), expected, "portable, least {least}");
            }
        }
    }

    #[test]
    fn bits_beyond_the_last_value_are_zero_when_a_row_ends_within_a_word() {
        let mut words = [u64::MAX; 2];
        pack_at_least(&[255; 70], 1, &mut words);
        assert_eq!(words, [u64::MAX, 0b11_1111]);
        pack_at_least(&[255; 70], 256, &mut words);
        assert_eq!(words, [0, 0]);
    }
}
