//! The requirements of `protocol.md`, read from the page itself.

/// The page.
pub const PROTOCOL: &str = include_str!("../../../protocol.md");

/// One requirement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Requirement {
    /// Its number: `S-12`.
    pub id: String,
    /// Its text.
    pub text: String,
}

/// Every requirement of `page`: a list item that begins with its number in bold.
pub fn requirements(page: &str) -> Vec<Requirement> {
    let mut requirements: Vec<Requirement> = Vec::new();
    let mut is_inside = false;
    for line in page.lines() {
        if let Some((id, text)) = line.strip_prefix("* **").and_then(|rest| rest.split_once("** ")) {
            requirements.push(Requirement { id: id.to_owned(), text: text.to_owned() });
            is_inside = true;
        } else if let (true, Some(more), Some(last)) = (is_inside, line.strip_prefix("  "), requirements.last_mut()) {
            last.text = format!("{} {}", last.text, more.trim());
        } else {
            is_inside = false;
        }
    }
    requirements
}

/// A row of the table of malformed messages.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Vector {
    pub bytes: Vec<u8>,
    pub code: u16,
    pub reason: String,
}

/// The table of malformed messages of `page`.
pub fn malformed(page: &str) -> Vec<Vector> {
    let (_, table) = page.split_once("### Malformed messages").unwrap_or_default();
    let rows = table.lines().skip_while(|line| !line.starts_with("| `")).take_while(|line| line.starts_with("| `"));
    let vector = |row: &str| {
        let mut cells = row.trim_matches('|').split('|').map(|cell| cell.trim().trim_matches('`'));
        let bytes = from_hex(cells.next()?)?;
        Some(Vector { bytes, code: cells.next()?.parse().ok()?, reason: cells.next()?.to_owned() })
    };
    rows.filter_map(vector).collect()
}

/// The bytes of hexadecimal digits with spaces between them.
pub fn from_hex(text: &str) -> Option<Vec<u8>> {
    let digits: String = text.split_whitespace().collect();
    let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok();
    digits.as_bytes().chunks(2).map(byte).collect()
}
