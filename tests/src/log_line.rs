//! One line of the kernel's serial log, for machines to read: a first word, then `key=value` words.
//!
//! A line that is something else (the boot loader's, a program's text) has no fields; nothing here fails on any text.

use std::collections::BTreeMap;

/// A line, taken apart. Borrows the text.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct LogLine<'text> {
    /// The first word; empty for an empty line.
    pub word: &'text str,
    rest: &'text str,
}

impl<'text> LogLine<'text> {
    /// Takes a line apart. A carriage return at its end is not part of it.
    #[must_use]
    pub fn parse(text: &'text str) -> Self {
        let text = text.trim();
        let (word, rest) = text.split_once(char::is_whitespace).unwrap_or((text, ""));
        Self { word, rest }
    }

    /// The value of a key, up to the next white space.
    #[must_use]
    pub fn field(&self, key: &str) -> Option<&'text str> {
        self.rest.split_whitespace().find_map(|word| word.strip_prefix(key)?.strip_prefix('='))
    }

    /// The value of a key as a number.
    #[must_use]
    pub fn number(&self, key: &str) -> Option<u64> {
        self.field(key)?.parse().ok()
    }

    /// A list of pairs, `0:551,1:20`. None if the key is absent or any pair is malformed or doubled.
    #[must_use]
    pub fn pairs(&self, key: &str) -> Option<BTreeMap<u64, u64>> {
        let value = self.field(key)?;
        let mut pairs = BTreeMap::new();
        for pair in value.split(',').filter(|pair| !pair.is_empty()) {
            let (name, count) = pair.split_once(':')?;
            if pairs.insert(name.parse().ok()?, count.parse().ok()?).is_some() {
                return None;
            }
        }
        Some(pairs)
    }

    /// A measurement: `metric NAME VALUE UNIT`.
    #[must_use]
    pub fn metric(&self) -> Option<Metric<'text>> {
        let mut words = self.rest.split_whitespace();
        if self.word != "metric" {
            return None;
        }
        let metric =
            Metric { name: words.next()?, value: words.next()?.parse().ok()?, unit: words.next()? };
        words.next().is_none().then_some(metric)
    }
}

/// A figure with its name and unit.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Metric<'text> {
    /// What was measured.
    pub name: &'text str,
    /// How much.
    pub value: f64,
    /// Of what.
    pub unit: &'text str,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_pairs_and_metrics_are_found() {
        let line = LogLine::parse("flip epoch=12 dirty=310 steps=0:551,1:20 \r");
        assert_eq!(line.word, "flip");
        assert_eq!(line.number("epoch"), Some(12));
        assert_eq!(line.number("epo"), None);
        assert_eq!(line.pairs("steps"), Some(BTreeMap::from([(0, 551), (1, 20)])));
        let metric = LogLine::parse("metric flip_pause 12.5 us").metric().expect("well formed");
        assert_eq!((metric.name, metric.value, metric.unit), ("flip_pause", 12.5, "us"));
    }

    #[test]
    fn what_is_no_log_line_has_no_fields_and_does_no_harm() {
        for text in ["", " ", "=", "metric", "metric a b c", "flip steps=1", "flip steps=1:1,1:2"] {
            let line = LogLine::parse(text);
            assert_eq!(line.number("epoch"), None);
            assert_eq!(line.pairs("steps"), None);
            assert_eq!(line.metric(), None);
        }
        assert_eq!(LogLine::parse("flip steps=").pairs("steps"), Some(BTreeMap::new()));
    }
}
