//! A page as a browser shows it: a picture of it, what the page itself says of where its coloured boxes are, and what it complains of.
//!
//! Debian's Chromium, without a window. The page is looked at in a copy with a script at its end, which notes every box of its pictures;
//! then the picture must have the box's colour where the page says that the box is. Neighbour: `tests/report_page.rs`, with planted bugs.

use core::fmt::Write as _;
use core::time::Duration;
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use std::collections::BTreeSet;
use std::fs::File;
use std::io::BufReader;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Instant;

/// The browser; `scripts/setup.sh` installs it.
const BROWSER: &str = "chromium";
/// How long it may take over one page.
const LIMIT: Duration = Duration::from_secs(90);
/// Length and height of a box that has to have its colour: smaller ones are blurred.
const LEAST: f64 = 3.0;
/// What a narrow page cuts off at its right: the boxes there are in tables that scroll.
const MARGIN: f64 = 40.0;

/// Notes where things are. The text stands at the page's end, in an element that is not shown.
const NOTES: &str = r#"<script>
const whole = document.documentElement;
const lines = [["page", whole.scrollWidth, whole.scrollHeight].join("|")];
for (const title of document.querySelectorAll("h1, h2")) {
    const at = title.getBoundingClientRect();
    lines.push(["title", title.textContent.replaceAll("|", " "), at.x, at.y, at.width, at.height].join("|"));
}
for (const box of document.querySelectorAll("section svg rect")) {
    const at = box.getBoundingClientRect(), style = getComputedStyle(box);
    lines.push(["box", box.closest("section").id, style.fill, style.opacity, at.x, at.y, at.width, at.height].join("|"));
}
const notes = document.createElement("pre");
notes.id = "notes-of-the-test";
notes.hidden = true;
notes.textContent = lines.join("\n");
document.body.append(notes);
</script></body>"#;

/// How to look at a page.
#[derive(Clone, Copy, Debug)]
pub struct View {
    /// Width of the window; the browser has none below 500.
    pub width: u32,
    /// Its height, which has to be that of the whole page at least.
    pub height: u32,
    /// Whether the reader prefers dark pages.
    pub dark: bool,
}

/// A colour.
pub type Colour = [u8; 3];

/// A rectangle on the page.
#[derive(Clone, Copy, PartialEq, Debug)]
struct Area {
    x: f64,
    y: f64,
    width: f64,
    height: f64,
}

/// What was seen.
#[derive(Debug)]
pub struct Seen {
    view: View,
    size: (u32, u32),
    pixels: Vec<u8>,
    page: (f64, f64),
    titles: Vec<(String, Area)>,
    boxes: Vec<(String, Colour, f64, Area)>,
    /// What stood in the browser's console.
    console: Vec<String>,
}

/// Looks at a page, in a folder for what the browser writes.
///
/// # Errors
/// There is no browser, it fails or takes too long, or what it writes cannot be read.
pub fn look(html: &str, folder: &Path, view: View) -> Result<Seen, String> {
    std::fs::create_dir_all(folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    let file = |name: &str| folder.join(name);
    // The page forbids itself scripts; that of this test is none of its own.
    let copy = html.replacen("http-equiv=\"Content-Security-Policy\"", "name=\"left-out\"", 1);
    let copy = copy.replacen("</body>", NOTES, 1);
    let write = |name: &str, text: &str| {
        std::fs::write(file(name), text).map_err(|error| format!("{name}: {error}"))
    };
    write("page.html", &copy)?;
    let picture = file("page.png");
    // That of an earlier run would do as well as none.
    let _ = std::fs::remove_file(&picture);
    let (document, complaints) = run(folder, view)?;
    let (size, pixels) = read_picture(&picture)?;
    let console = complaints.lines().filter(|line| line.contains(":CONSOLE:"));
    let mut seen = Seen {
        view,
        size,
        pixels,
        page: (0.0, 0.0),
        titles: Vec::new(),
        boxes: Vec::new(),
        console: console.map(str::to_owned).collect(),
    };
    let notes = document.split_once("id=\"notes-of-the-test\"").map(|(_, rest)| rest);
    let notes = notes.and_then(|rest| rest.split_once('>')).map_or("", |(_, rest)| rest);
    for line in notes.split("</pre>").next().unwrap_or("").lines() {
        seen.note(line).ok_or_else(|| format!("the page's notes have {line:?}"))?;
    }
    Ok(seen)
}

/// Runs the browser over `page.html` of a folder: the document as it ended up, and what went to standard error.
fn run(folder: &Path, view: View) -> Result<(String, String), String> {
    let complain = |error: std::io::Error| format!("{}: {error}", folder.display());
    let folder = folder.canonicalize().map_err(complain)?;
    let output = |name: &str| File::create(folder.join(name)).map_err(complain);
    let mut command = Command::new(BROWSER);
    command
        .args(["--headless", "--no-sandbox", "--disable-gpu", "--no-first-run"])
        .args(["--hide-scrollbars", "--force-device-scale-factor=1", "--enable-logging=stderr"])
        .args(["--disable-dev-shm-usage", "--dump-dom"])
        .arg(format!("--user-data-dir={}", folder.join("profile").display()))
        .arg(format!("--blink-settings=preferredColorScheme={}", u8::from(!view.dark)))
        .arg(format!("--window-size={},{}", view.width, view.height))
        .arg(format!("--screenshot={}", folder.join("page.png").display()))
        .arg(format!("file://{}", folder.join("page.html").display()))
        .stdin(Stdio::null())
        .stdout(output("document.html")?)
        .stderr(output("complaints.txt")?)
        .process_group(0);
    let mut browser = command.spawn().map_err(|error| {
        format!("{BROWSER} cannot be started ({error}): `make setup` installs it")
    })?;
    let ended = wait(&mut browser);
    // It has processes of its own; those that are left over end with it.
    if let Ok(group) = i32::try_from(browser.id()) {
        // That there is none is what it should be.
        let _ = killpg(Pid::from_raw(group), Signal::SIGKILL);
    }
    let read = |name: &str| {
        let bytes = std::fs::read(folder.join(name)).map_err(complain)?;
        Ok::<_, String>(String::from_utf8_lossy(&bytes).into_owned())
    };
    let (document, complaints) = (read("document.html")?, read("complaints.txt")?);
    match ended {
        Ok(true) => Ok((document, complaints)),
        Ok(false) => Err(format!("{BROWSER} failed:\n{complaints}")),
        Err(error) => {
            // It was killed above; this takes it off the list of processes.
            let _ = browser.wait();
            Err(format!("{BROWSER}: {error}:\n{complaints}"))
        }
    }
}

/// Waits for the end, but not for ever; whether it was a success.
fn wait(browser: &mut Child) -> Result<bool, String> {
    let start = Instant::now();
    while start.elapsed() < LIMIT {
        match browser.try_wait() {
            Ok(Some(status)) => return Ok(status.success()),
            Ok(None) => std::thread::sleep(Duration::from_millis(20)),
            Err(error) => return Err(error.to_string()),
        }
    }
    Err(format!("not done after {} s", LIMIT.as_secs()))
}

fn read_picture(path: &Path) -> Result<((u32, u32), Vec<u8>), String> {
    let complain = |error: &dyn core::fmt::Display| format!("{}: {error}", path.display());
    let file = File::open(path).map_err(|error| complain(&error))?;
    let mut decoder = png::Decoder::new(BufReader::new(file));
    decoder.set_transformations(png::Transformations::EXPAND | png::Transformations::STRIP_16);
    let mut reader = decoder.read_info().map_err(|error| complain(&error))?;
    let size = reader.output_buffer_size().ok_or_else(|| complain(&"too large"))?;
    let mut bytes = vec![0; size];
    let info = reader.next_frame(&mut bytes).map_err(|error| complain(&error))?;
    let samples = info.color_type.samples();
    if samples < 3 {
        return Err(complain(&"a picture without colours"));
    }
    let pixels = bytes.chunks_exact(samples).flat_map(|pixel| pixel.iter().take(3).copied());
    Ok(((info.width, info.height), pixels.collect()))
}

/// `rgb(1, 2, 3)` as a colour.
fn colour(text: &str) -> Option<Colour> {
    let numbers = text.strip_prefix("rgb(")?.strip_suffix(')')?;
    let numbers: Option<Vec<u8>> =
        numbers.split(',').map(|number| number.trim().parse().ok()).collect();
    numbers?.try_into().ok()
}

impl Seen {
    /// Takes a line of the page's notes.
    fn note(&mut self, line: &str) -> Option<()> {
        let words: Vec<&str> = line.split('|').collect();
        let number = |place: usize| words.get(place)?.parse::<f64>().ok();
        let area = |place: usize| {
            let (x, y) = (number(place)?, number(place + 1)?);
            Some(Area { x, y, width: number(place + 2)?, height: number(place + 3)? })
        };
        match *words.first()? {
            "page" => self.page = (number(1)?, number(2)?),
            "title" => self.titles.push(((*words.get(1)?).to_owned(), area(2)?)),
            "box" => {
                let section = (*words.get(1)?).to_owned();
                self.boxes.push((section, colour(words.get(2)?)?, number(3)?, area(4)?));
            }
            _ => return None,
        }
        Some(())
    }

    /// The colour at a place.
    fn pixel(&self, x: f64, y: f64) -> Option<Colour> {
        let place = |value: f64, end: u32| (0..end).find(|place| f64::from(*place) + 1.0 > value);
        let (x, y) = (place(x, self.size.0)? as usize, place(y, self.size.1)? as usize);
        let start = (y * self.size.0 as usize + x) * 3;
        self.pixels.get(start..start + 3)?.try_into().ok()
    }

    /// Colours in an area.
    fn colours(&self, area: Area) -> BTreeSet<Colour> {
        let (mut found, mut y) = (BTreeSet::new(), area.y);
        while y < area.y + area.height {
            let mut x = area.x;
            while x < area.x + area.width {
                found.extend(self.pixel(x, y));
                x += 1.0;
            }
            y += 1.0;
        }
        found
    }

    /// The colour of the page's background: that of its corner.
    #[must_use]
    pub fn paper(&self) -> Option<Colour> {
        self.pixel(1.0, 1.0)
    }

    /// Fills of the boxes of a section that were found on the picture.
    #[must_use]
    pub fn fills(&self, section: &str) -> BTreeSet<Colour> {
        let boxes = self.boxes.iter().filter(|(of, ..)| of == section);
        boxes.filter(|found| self.shows(found) == Some(true)).map(|found| found.1).collect()
    }

    /// Whether the picture has a box where the page says; none if it is too small, or where it need not be seen.
    fn shows(&self, (_, fill, opacity, area): &(String, Colour, f64, Area)) -> Option<bool> {
        let right = f64::from(self.view.width) - MARGIN;
        let seen = area.width >= LEAST && area.height >= LEAST && area.x + area.width <= right;
        if !seen || *opacity < 1.0 {
            return None;
        }
        let pixel = self.pixel(area.x + area.width / 2.0, area.y + area.height / 2.0)?;
        Some(pixel.iter().zip(fill).all(|(seen, said)| seen.abs_diff(*said) <= 2))
    }

    /// Everything that is not as it has to be, of whatever page that has pictures in these sections.
    #[must_use]
    pub fn complaints(&self, sections: &[&str]) -> Vec<String> {
        let mut found: Vec<String> =
            self.console.iter().map(|line| format!("console: {line}")).collect();
        let view = (f64::from(self.view.width), f64::from(self.view.height));
        if self.size != (self.view.width, self.view.height) {
            found.push(format!("the picture has {:?} pixels", self.size));
        }
        if self.page.0 > view.0 || self.page.0 < 1.0 {
            found.push(format!("the page is {} wide in a window of {}", self.page.0, view.0));
        }
        if self.page.1 > view.1 {
            found.push(format!("the page is {} high, the picture only {}", self.page.1, view.1));
        }
        for (title, area) in &self.titles {
            // Letters have edges of many shades.
            if self.colours(*area).len() < 8 {
                found.push(format!("{title:?} cannot be read"));
            }
        }
        if self.titles.len() < sections.len() {
            found.push(format!("{} titles", self.titles.len()));
        }
        for section in sections {
            let boxes = self.boxes.iter().filter(|(of, ..)| of == section);
            let shown: Vec<bool> = boxes.filter_map(|found| self.shows(found)).collect();
            let wrong = shown.iter().filter(|shown| !**shown).count();
            if shown.is_empty() {
                found.push(format!("{section}: nothing is drawn"));
            }
            if wrong > 0 {
                let mut words = format!("{section}: {wrong} of {} boxes ", shown.len());
                let _ = write!(words, "have another colour than the page says");
                found.push(words);
            }
        }
        found
    }
}
