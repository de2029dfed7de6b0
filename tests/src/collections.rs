//! What collections did beside the program of samples/bench/local.rasm: joins the program's lines with the kernel's, and makes figures of them.
//!
//! | line | by | what |
//! |---|---|---|
//! | `collect marked objects= pages_read= us=` | kernel | a mark |
//! | `collect swept objects= stop_ns=` | kernel | a sweep, and the longest time for which programs stood still for it |
//! | `flip pause_ns=` | kernel | the stop for a snapshot |
//! | `metric collect.alone`, `.alone_time`, `.beside`, `.beside_time` | program | its work without a collection and with |
//!
//! The first mark is not counted for speed: the heap has not been read since the start. Of stops the longest counts, of either kind. Pure.

use crate::figures::Figures;
use crate::log_line::LogLine;

/// Bytes of an object of the program.
const OBJECT_BYTES: f64 = 48.0;
const PAGE_BYTES: f64 = 4096.0;

/// The lines of one run.
#[derive(Clone, Debug, Default)]
pub struct Collections {
    /// Of each mark: objects, pages read and microseconds.
    marks: Vec<(f64, f64, f64)>,
    /// Of each sweep, in nanoseconds.
    stops: Vec<f64>,
    pauses: Vec<f64>,
}

impl Collections {
    /// Takes a line of the serial log; what is none of the lines above is passed over.
    pub fn line(&mut self, text: &str) {
        let line = LogLine::parse(text);
        let number = |key| line.number(key).map(|value| value as f64);
        match (line.word, text.split(' ').nth(1)) {
            ("flip", _) => self.pauses.extend(number("pause_ns")),
            ("collect", Some("marked")) => {
                let counts = number("objects").zip(number("pages_read"));
                self.marks.extend(counts.zip(number("us")).map(|((a, b), c)| (a, b, c)));
            }
            ("collect", Some("swept")) => self.stops.extend(number("stop_ns")),
            _ => {}
        }
    }

    /// Adds its figures to those of the run, if there was a collection.
    pub fn figures(&mut self, prefix: &str, figures: &mut Figures) {
        let marks = || self.marks.iter().skip(1);
        let heap = marks().map(|(objects, _, us)| objects * OBJECT_BYTES / PAGE_BYTES / us * 1e6);
        let read = marks().map(|(_, pages, us)| pages / us * 1e6);
        for (name, mut rates) in [("heap", heap.collect::<Vec<_>>()), ("read", read.collect())] {
            if let Some(rate) = median(&mut rates) {
                figures.set(&format!("{prefix}mark.{name}"), rate, "pages/s");
            }
        }
        let stop = self.stops.iter().copied().reduce(f64::max);
        let pause = self.pauses.iter().copied().reduce(f64::max);
        if let (Some(stop), Some(pause)) = (stop, pause) {
            figures.set(&format!("{prefix}sweep_stop.longest"), stop, "ns");
            figures.set(&format!("{prefix}sweep_stop.flip"), pause, "ns");
        }
        let value = |name: &str| figures.get(&format!("{prefix}collect.{name}")).map(|f| f.value);
        let speed = |steps: &str, time: &str| Some(value(steps)? / value(time)?);
        if let (Some(alone), Some(beside)) =
            (speed("alone", "alone_time"), speed("beside", "beside_time"))
            && beside > 0.0
            && alone.is_finite()
        {
            figures.set(&format!("{prefix}mark_slowdown"), alone / beside, "ratio");
        }
    }
}

fn median(values: &mut [f64]) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_become_figures() {
        let mut collections = Collections::default();
        let mut figures = Figures::default();
        for line in [
            "flip epoch=3 dirty=1 page_ins=0 pause_ns=10000 flip_ns=2000 grace_ns=1 steps=",
            "flip epoch=4 dirty=1 page_ins=0 pause_ns=9000 flip_ns=2000 grace_ns=1 steps=",
            "collect marked objects=1 pages_read=1 partitions=1 checkpoints=1 us=1",
            "collect swept objects=9 bytes=9 circles=9 stuck=0 left=0 stop_ns=15000",
            "collect marked objects=4096 pages_read=90 partitions=1 checkpoints=1 us=1000000",
            "collect swept objects=0 bytes=0 circles=0 stuck=0 left=0 stop_ns=5000",
        ] {
            collections.line(line);
        }
        for line in [
            "metric collect.alone 300 steps",
            "metric collect.alone_time 100 ns",
            "metric collect.beside 400 steps",
            "metric collect.beside_time 200 ns",
        ] {
            assert!(figures.take_line("x.", line));
        }
        collections.figures("x.", &mut figures);
        let value = |name: &str| figures.get(name).map(|figure| figure.value);
        assert_eq!(value("x.mark.heap"), Some(48.0));
        assert_eq!(value("x.mark.read"), Some(90.0));
        assert_eq!(value("x.sweep_stop.longest"), Some(15_000.0));
        assert_eq!(value("x.sweep_stop.flip"), Some(10_000.0));
        assert_eq!(value("x.mark_slowdown"), Some(1.5));
    }

    #[test]
    fn a_run_without_collections_has_none() {
        let mut figures = Figures::default();
        Collections::default().figures("", &mut figures);
        assert_eq!(figures.lines(), "");
    }
}
