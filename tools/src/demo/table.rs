//! The table at the end of a round: what each agency was told.

use std::fmt::Write;

/// A row: an agency's number of bets, and the documents of its winners.
pub type Row<'a> = (u64, &'a [u32]);

/// The table of agencies 1, 2, ..., with no line longer than `width`. Documents that do not fit are left out, and an
/// ellipsis stands for them.
pub fn table(rows: &[Row<'_>], width: usize) -> String {
    const RULE: &str = " ────────┼───────────┼─────────┼───────────";
    let mut text = String::from("  agency │      bets │ winners │ documents\n");
    let rule = format!("{RULE}\n");
    text += &rule;
    for (agency, (bets, winners)) in (1..).zip(rows) {
        let row = format!("  {agency:>6} │ {bets:>9} │ {:>7} │", winners.len());
        let room = width.saturating_sub(row.chars().count());
        let _ = writeln!(text, "{row}{}", documents(winners, room));
    }
    let (bets, winners) = rows.iter().fold((0, 0), |(bets, winners), row| (bets + row.0, winners + row.1.len()));
    let _ = writeln!(text, "{rule}     all │ {bets:>9} │ {winners:>7} │");
    text.lines().map(|line| line.chars().take(width).chain(['\n']).collect::<String>()).collect()
}

/// As many documents as fit into `room`, each behind a space.
fn documents(winners: &[u32], room: usize) -> String {
    const MORE: &str = " …";
    let mut text = String::new();
    for (index, document) in winners.iter().enumerate() {
        let is_last = index + 1 == winners.len();
        let next = format!(" {document}");
        let reserved = if is_last { 0 } else { MORE.chars().count() };
        if text.len() + next.len() + reserved > room {
            return text + MORE;
        }
        text += &next;
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    const WINNERS: [u32; 4] = [10_000_001, 10_000_002, 10_000_003, 10_000_004];

    #[test]
    fn documents_that_do_not_fit_leave_an_ellipsis() {
        for (room, expected) in [
            (36, " 10000001 10000002 10000003 10000004"),
            (35, " 10000001 10000002 10000003 …"),
            (29, " 10000001 10000002 10000003 …"),
            (28, " 10000001 10000002 …"),
            (11, " 10000001 …"),
            (10, " …"),
        ] {
            assert_eq!(documents(&WINNERS, room), expected, "{room}");
        }
        assert_eq!(documents(&[], 0), "");
    }

    #[test]
    fn no_line_is_longer_than_the_terminal() {
        let rows: [Row<'_>; 3] = [(26_936, &WINNERS), (0, &[]), (1, &[7])];
        for width in [0, 10, 33, 34, 40, 60, 80, usize::MAX] {
            let table = table(&rows, width);
            assert!(table.lines().all(|line| line.chars().count() <= width), "{width}: {table}");
            assert_eq!(table.lines().count(), 7, "{table}");
        }
        let whole = table(&rows, usize::MAX);
        assert!(whole.contains("       1 │     26936 │       4 │ 10000001 10000002 10000003 10000004\n"), "{whole}");
        assert!(whole.ends_with("     all │     26937 │       5 │\n"), "{whole}");
    }
}
