//! The checksum of blocks: rapidhash V3 in its protected form, in which no content makes a multiplication forget what came
//! before. A third of the instructions of XXH3, which count where the machine is emulated.
//!
//! Every page that comes in is checked, so this loop is a third of what a page-in costs. The hash is seven chains of
//! multiplications over every seventh pair of words; computed together, as the library does, they need more registers than there
//! are, and each spilled one is two accesses to memory. One after the other, a pair of words takes eight instructions and two
//! loads, and the library 12 and five. A processor that could overlap the chains takes 60 ns a block longer.
//!
//! Invariant: the value is the library's, bit for bit; the tests hold both against each other and against the reference
//! implementation's values.

use rapidhash::v3::DEFAULT_RAPID_SECRETS;
use revenant_hal::{Checksum, PageBytes};

/// The reference implementation's seed 0 mixed with its secrets, as RAPIDHASH_PROTECTED has it.
const PROTECTED_SEED: u64 = 0x82ac_88eb_3f92_c7bc;
/// Its constants, one for each chain.
const SECRETS: [u64; CHAINS] = DEFAULT_RAPID_SECRETS.secrets;
const CHAINS: usize = 7;
/// What goes into the last product besides.
const FINISH: u64 = 0xaaaa_aaaa_aaaa_aaaa;

type Word = [u8; 8];
/// A pair of words for each chain.
type Round = [Word; 2 * CHAINS];
/// Rounds that the loop takes at a time: they divide those of a block.
const UNROLLED: usize = 6;
/// What the rounds of a block leave.
const REST: usize = 8;

const ROUNDS: usize = PageBytes::ZERO.0.len() / size_of::<Round>();
const _: () = assert!(ROUNDS.is_multiple_of(UNROLLED));
const _: () =
    assert!(PageBytes::ZERO.0.len() == ROUNDS * size_of::<Round>() + REST * size_of::<Word>());

/// The checksum of a block's content.
#[must_use]
pub fn checksum(bytes: &PageBytes) -> Checksum {
    let (words, _) = bytes.0.as_chunks::<8>();
    let (rounds, rest) = words.as_chunks::<{ 2 * CHAINS }>();
    let Some(rest) = rest.first_chunk::<REST>() else { return Checksum(0) }; // never: asserted above
    let mut seed = chain::<0>(rounds)
        ^ chain::<1>(rounds)
        ^ chain::<2>(rounds)
        ^ chain::<3>(rounds)
        ^ chain::<4>(rounds)
        ^ chain::<5>(rounds)
        ^ chain::<6>(rounds);
    let rest = rest.map(u64::from_le_bytes);
    seed = mix(rest[0] ^ SECRETS[2], rest[1] ^ seed);
    seed = mix(rest[2] ^ SECRETS[2], rest[3] ^ seed);
    seed = mix(rest[4] ^ SECRETS[1], rest[5] ^ seed);
    let length = size_of_val(&rest) as u64;
    let (first, second) = (rest[6] ^ length ^ SECRETS[1], rest[7] ^ seed);
    let (low, high) = product(first, second);
    Checksum(mix(first ^ low ^ FINISH, second ^ high ^ SECRETS[1] ^ length))
}

/// One chain through all rounds.
#[inline(always)]
fn chain<const NUMBER: usize>(rounds: &[Round]) -> u64 {
    let mut seed = PROTECTED_SEED;
    for rounds in rounds.as_chunks::<UNROLLED>().0 {
        for round in rounds {
            let (first, second) = (round[2 * NUMBER], round[2 * NUMBER + 1]);
            seed =
                mix(u64::from_le_bytes(first) ^ SECRETS[NUMBER], u64::from_le_bytes(second) ^ seed);
        }
    }
    seed
}

/// The halves of a product, lower first.
#[inline(always)]
const fn product(first: u64, second: u64) -> (u64, u64) {
    let product = first as u128 * second as u128;
    ((product & 0xffff_ffff_ffff_ffff) as u64, (product >> 64) as u64)
}

/// Both factors stay in what is made of them, so that a zero does not wipe the other out.
#[inline(always)]
const fn mix(first: u64, second: u64) -> u64 {
    let (low, high) = product(first, second);
    first ^ low ^ second ^ high
}

#[cfg(test)]
mod tests {
    use super::*;
    use rapidhash::v3::{RapidSecrets, rapidhash_v3_inline};

    #[test]
    fn the_checksum_is_rapidhash_as_the_format_says() {
        // Values of the reference implementation in C, compiled with RAPIDHASH_PROTECTED: a change of library cannot change the
        // format.
        let mut page = PageBytes::ZERO;
        assert_eq!(checksum(&page).0, 0xd064_9d26_bee0_c291);
        for (index, byte) in page.0.iter_mut().enumerate() {
            *byte = u8::try_from((index * 7 + index / 256) & 255).unwrap_or(0);
        }
        assert_eq!(checksum(&page).0, 0xe662_9349_11d7_fbb3);
    }

    #[test]
    fn every_bit_of_a_block_counts_even_where_a_word_is_one_of_the_constants() {
        // Without protection a word equal to a secret makes a product zero, and nothing before it would count.
        let mut page = PageBytes::ZERO;
        for (word, secret) in page.0.chunks_exact_mut(8).zip(SECRETS.iter().cycle()) {
            word.copy_from_slice(&secret.to_le_bytes());
        }
        for (lane, secret) in SECRETS.iter().enumerate() {
            let at = 20 * 112 + lane * 16;
            page.0[at..at + 8].copy_from_slice(&secret.to_le_bytes());
        }
        let whole = checksum(&page);
        for bit in 0..page.0.len() * 8 {
            page.0[bit / 8] ^= 1 << (bit % 8);
            assert_ne!(checksum(&page), whole, "bit {bit}");
            page.0[bit / 8] ^= 1 << (bit % 8);
        }
    }

    #[test]
    fn it_is_what_the_library_computes_of_any_content() {
        let secrets = RapidSecrets { seed: PROTECTED_SEED, secrets: SECRETS };
        let (mut page, mut state) = (PageBytes::ZERO, 0x9e37_79b9_7f4a_7c15u64);
        for _ in 0..1000 {
            for word in page.0.chunks_exact_mut(8) {
                state ^= state << 13;
                state ^= state >> 7;
                state ^= state << 17;
                word.copy_from_slice(&state.to_le_bytes());
            }
            let library = rapidhash_v3_inline::<true, false, true>(&page.0, &secrets);
            assert_eq!(checksum(&page).0, library);
        }
    }
}
