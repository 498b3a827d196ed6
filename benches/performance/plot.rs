//! Line charts as SVG: two scales, a legend, and colours for light and for dark pages.

use std::fmt::Write as _;

use crate::figure::Figure;

/// A line chart.
pub struct Plot<'a> {
    /// The finding.
    pub title: &'a str,
    /// The machine, the number of runs, and the meaning of the lines.
    pub note: &'a str,
    pub x: Axis<'a>,
    pub y: Axis<'a>,
    pub lines: Vec<Line<'a>>,
}

/// A scale: its name, its marked values, and their labels.
pub struct Axis<'a> {
    pub name: &'a str,
    pub marks: Vec<f64>,
    pub label: fn(f64) -> String,
    /// True if equal distances are equal factors.
    pub is_logarithmic: bool,
}

/// A line through points.
#[derive(Default)]
pub struct Line<'a> {
    pub name: &'a str,
    pub points: Vec<(f64, f64)>,
    /// The lowest and the highest value of the runs at each point.
    pub spread: Vec<(f64, f64)>,
}

const WIDTH: f64 = 760.0;
const HEIGHT: f64 = 424.0;
const LEFT: f64 = 84.0;
const RIGHT: f64 = 24.0;
const TOP: f64 = 100.0;
const BOTTOM: f64 = 56.0;

const STYLE: &str = "\
text { font: 13px system-ui, sans-serif; fill: #333 } .title { font-size: 16px; font-weight: 600 } \
.note { font-size: 11.5px } .spread { stroke-width: 1.5 } \
.grid { stroke: #ddd } polyline { fill: none; stroke-width: 2.5 } .page { fill: #fff } \
.l0 { stroke: #0b6fb8; color: #0b6fb8 } .l1 { stroke: #c8551b; color: #c8551b } .l2 { stroke: #8a8a8a; color: #8a8a8a } \
circle { fill: currentColor; stroke: none } .l2 { stroke-dasharray: 6 4 } \
@media (prefers-color-scheme: dark) { text { fill: #ddd } .grid { stroke: #444 } .page { fill: #0d1117 } \
.l0 { stroke: #58a6ff; color: #58a6ff } .l1 { stroke: #f0883e; color: #f0883e } .l2 { stroke: #8b949e; color: #8b949e } }";

impl Axis<'_> {
    /// The position of `value` between the lowest mark (0) and the highest (1).
    fn place(&self, value: f64) -> f64 {
        let scaled = |value: f64| if self.is_logarithmic { value.ln() } else { value };
        let (lowest, highest) =
            self.marks.iter().fold((f64::MAX, f64::MIN), |(low, high), &mark| (low.min(mark), high.max(mark)));
        (scaled(value) - scaled(lowest)) / (scaled(highest) - scaled(lowest))
    }
}

impl<'a> Line<'a> {
    /// A line without points.
    pub fn new(name: &'a str) -> Line<'a> {
        Line { name, ..Line::default() }
    }

    /// Adds the point of a figure.
    pub fn add(&mut self, x: f64, figure: &Figure) {
        self.points.push((x, figure.median()));
        self.spread.push(figure.range());
    }
}

impl Plot<'_> {
    fn x(&self, value: f64) -> f64 {
        LEFT + self.x.place(value) * (WIDTH - LEFT - RIGHT)
    }

    fn y(&self, value: f64) -> f64 {
        HEIGHT - BOTTOM - self.y.place(value) * (HEIGHT - TOP - BOTTOM)
    }

    pub fn to_svg(&self) -> Result<String, std::fmt::Error> {
        let mut svg = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\" aria-label=\"{title}\">\n\
             <style>{STYLE}</style>\n<rect class=\"page\" width=\"{WIDTH}\" height=\"{HEIGHT}\" rx=\"6\"/>\n\
             <text class=\"title\" x=\"{LEFT}\" y=\"28\">{title}</text>\n\
             <text class=\"note\" x=\"{LEFT}\" y=\"48\">{note}</text>\n",
            title = self.title,
            note = self.note
        );
        self.draw_axes(&mut svg)?;
        for (number, line) in self.lines.iter().enumerate() {
            self.draw_line(number, line, &mut svg)?;
        }
        svg.push_str("</svg>\n");
        Ok(svg)
    }

    fn draw_axes(&self, svg: &mut String) -> std::fmt::Result {
        let (right, bottom) = (WIDTH - RIGHT, HEIGHT - BOTTOM);
        for &mark in &self.y.marks {
            let (y, label) = (self.y(mark), (self.y.label)(mark));
            writeln!(svg, "<line class=\"grid\" x1=\"{LEFT}\" y1=\"{y:.1}\" x2=\"{right}\" y2=\"{y:.1}\"/>")?;
            writeln!(svg, "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{label}</text>", LEFT - 10.0, y + 4.0)?;
        }
        for &mark in &self.x.marks {
            let (x, label) = (self.x(mark), (self.x.label)(mark));
            writeln!(svg, "<line class=\"grid\" x1=\"{x:.1}\" y1=\"{TOP}\" x2=\"{x:.1}\" y2=\"{bottom}\"/>")?;
            writeln!(svg, "<text x=\"{x:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{label}</text>", bottom + 20.0)?;
        }
        let middle = TOP + (bottom - TOP) / 2.0;
        let (x_name, y_name) = (self.x.name, self.y.name);
        writeln!(
            svg,
            "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{x_name}</text>",
            (LEFT + right) / 2.0,
            HEIGHT - 12.0
        )?;
        writeln!(
            svg,
            "<text transform=\"translate(18 {middle:.1}) rotate(-90)\" text-anchor=\"middle\">{y_name}</text>"
        )
    }

    fn draw_line(&self, number: usize, line: &Line<'_>, svg: &mut String) -> std::fmt::Result {
        let places: Vec<(f64, f64)> = line.points.iter().map(|&(x, y)| (self.x(x), self.y(y))).collect();
        let points: Vec<String> = places.iter().map(|(x, y)| format!("{x:.1},{y:.1}")).collect();
        writeln!(svg, "<g class=\"l{number}\"><polyline points=\"{}\"/>", points.join(" "))?;
        for ((x, _), (low, high)) in line.points.iter().zip(&line.spread) {
            let (x, low, high) = (self.x(*x), self.y(*low), self.y(*high));
            writeln!(svg, "<line class=\"spread\" x1=\"{x:.1}\" y1=\"{low:.1}\" x2=\"{x:.1}\" y2=\"{high:.1}\"/>")?;
        }
        for (x, y) in places {
            writeln!(svg, "<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"4\"/>")?;
        }
        let x = LEFT + 225.0 * number as f64;
        writeln!(svg, "<polyline points=\"{x},72 {},72\"/></g>", x + 24.0)?;
        writeln!(svg, "<text x=\"{}\" y=\"76\">{}</text>", x + 32.0, line.name)
    }
}

/// Marks from 0 up to the highest point of `lines`, and of their spread.
pub fn marks_of(lines: &[Line<'_>]) -> Vec<f64> {
    let values = lines
        .iter()
        .flat_map(|line| line.points.iter().map(|point| point.1).chain(line.spread.iter().map(|ends| ends.1)));
    marks_up_to(values.fold(0.0, f64::max))
}

/// Marks from 0 up that reach `highest`, in steps of 1, 2 or 5 times a power of ten, about five of them.
fn marks_up_to(highest: f64) -> Vec<f64> {
    let rough = highest / 5.0;
    let power = 10_f64.powf(rough.log10().floor());
    let step = [1.0, 2.0, 5.0, 10.0].map(|factor| factor * power).into_iter().find(|&step| step >= rough);
    let step = step.unwrap_or(10.0 * power);
    (0..=(highest / step).ceil() as u32).map(|number| f64::from(number) * step).collect()
}
