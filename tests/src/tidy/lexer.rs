//! As much of Rust's lexical structure as the rules need: which characters are code, which are comment or text.

/// The source with every comment, string and character literal blanked out; lines stay where they are.
#[must_use]
pub fn code_only(source: &str) -> String {
    let characters: Vec<char> = source.chars().collect();
    let mut output = String::with_capacity(source.len());
    let mut at = 0;
    while at < characters.len() {
        let end = skip_from(&characters, at);
        if end == at {
            output.push(characters[at]);
            at += 1;
        } else {
            for character in &characters[at..end] {
                output.push(if *character == '\n' { '\n' } else { ' ' });
            }
            at = end;
        }
    }
    output
}

/// Whether `word` stands in a line of code as a whole identifier.
#[must_use]
pub fn has_word(code: &str, word: &str) -> bool {
    let part_of_word = |character: char| character.is_alphanumeric() || character == '_';
    code.match_indices(word).any(|(start, _)| {
        !code[..start].ends_with(part_of_word)
            && !code[start + word.len()..].starts_with(part_of_word)
    })
}

/// If something that is not code starts at `at`: where it ends; else `at`.
fn skip_from(characters: &[char], at: usize) -> usize {
    let next = characters.get(at + 1).copied();
    match characters[at] {
        '/' if next == Some('/') => find(characters, at, |rest| rest[0] == '\n'),
        '/' if next == Some('*') => block_comment_end(characters, at),
        '"' => string_end(characters, at + 1),
        'r' | 'b' | 'c' if !follows_word(characters, at) => prefixed_string_end(characters, at),
        '\'' => character_end(characters, at),
        _ => at,
    }
}

fn follows_word(characters: &[char], at: usize) -> bool {
    at > 0 && (characters[at - 1].is_alphanumeric() || characters[at - 1] == '_')
}

/// The first position from `at` whose rest satisfies `found`, or the end.
fn find(characters: &[char], at: usize, found: impl Fn(&[char]) -> bool) -> usize {
    (at..characters.len()).find(|index| found(&characters[*index..])).unwrap_or(characters.len())
}

fn block_comment_end(characters: &[char], start: usize) -> usize {
    let (mut at, mut depth) = (start, 0_usize);
    while at < characters.len() {
        if characters[at..].starts_with(&['/', '*']) {
            depth += 1;
            at += 2;
        } else if characters[at..].starts_with(&['*', '/']) {
            depth -= 1;
            at += 2;
            if depth == 0 {
                return at;
            }
        } else {
            at += 1;
        }
    }
    at
}

/// The end of a string whose opening quote is behind `at`.
fn string_end(characters: &[char], mut at: usize) -> usize {
    while at < characters.len() {
        match characters[at] {
            '\\' => at += 2,
            '"' => return at + 1,
            _ => at += 1,
        }
    }
    characters.len()
}

/// The end of r"", r#""#, b"", br"", c"" at `start`, or `start` if it is an ordinary word.
fn prefixed_string_end(characters: &[char], start: usize) -> usize {
    let mut at = start;
    let mut raw = false;
    while at < characters.len() && at - start < 2 && matches!(characters[at], 'r' | 'b' | 'c') {
        raw |= characters[at] == 'r';
        at += 1;
    }
    let hashes = characters[at..].iter().take_while(|character| **character == '#').count();
    if characters.get(at + hashes) != Some(&'"') || (hashes > 0 && !raw) {
        return start;
    }
    at += hashes + 1;
    if !raw {
        return string_end(characters, at);
    }
    let end = find(characters, at, |rest| {
        rest[0] == '"' && rest.len() > hashes && rest[1..=hashes].iter().all(|mark| *mark == '#')
    });
    (end + 1 + hashes).min(characters.len())
}

/// The end of a character literal at `start`, or `start` if it is a lifetime.
fn character_end(characters: &[char], start: usize) -> usize {
    match characters.get(start + 1) {
        Some('\\') => find(characters, start + 3, |rest| rest[0] == '\'').saturating_add(1),
        Some(_) if characters.get(start + 2) == Some(&'\'') => start + 3,
        _ => start,
    }
    .min(characters.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_in_comments_strings_and_characters_are_no_code() {
        let source = r##"
            // unsafe
            /* unsafe /* nested unsafe */ unsafe */
            let text = "unsafe \" unsafe";
            let raw = r#"unsafe " unsafe"#;
            let bytes = b"unsafe";
            let quote = '"'; let escaped = '\''; let lifetime: &'static str = "unsafe";
            fn bar() {}
        "##;
        let code = code_only(source);
        assert!(!has_word(&code, "unsafe"), "{code}");
        assert!(has_word(&code, "bar") && has_word(&code, "lifetime"), "{code}");
        assert_eq!(code.lines().count(), source.lines().count());
    }

    #[test]
    fn planted_unsafe_after_every_kind_of_literal_is_seen() {
        for before in ["\"a\"", "'a'", "'\\n'", "r#\"\"#", "/* */", "b'x'", "&'a str", "r\"\\\""] {
            let code = code_only(&format!("{before}; unsafe {{}}"));
            assert!(has_word(&code, "unsafe"), "{before} -> {code}");
        }
    }

    #[test]
    fn a_word_is_whole() {
        assert!(!has_word("#![forbid(unsafe_code)]", "unsafe"));
        assert!(has_word("(unsafe)", "unsafe"));
    }
}
