//! Columns of text, as wide as what stands in them.

use std::fmt::Write as _;

/// Rows under a header; every column but the last is padded to its widest cell.
pub(super) fn render(header: &[&str], rows: &[Vec<String>]) -> String {
    let mut widths: Vec<usize> = header.iter().map(|cell| cell.chars().count()).collect();
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let mut text = String::new();
    let header_row: Vec<String> = header.iter().map(|cell| (*cell).to_owned()).collect();
    for row in std::iter::once(&header_row).chain(rows) {
        let mut line = String::new();
        for (width, cell) in widths.iter().zip(row) {
            let _ = write!(line, "{cell:<width$}  ");
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

/// A duration as FRR writes it: `00:01:02`, `1d02h03m`, `1w2d03h`.
pub(super) fn uptime(milliseconds: u64) -> String {
    let seconds = milliseconds / 1000;
    let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86400);
    match days {
        0 => format!("{hours:02}:{:02}:{:02}", minutes % 60, seconds % 60),
        1..=6 => format!("{days}d{:02}h{:02}m", hours % 24, minutes % 60),
        _ => format!("{}w{}d{:02}h", days / 7, days % 7, hours % 24),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_their_widest_cell_and_lines_end_without_blanks() {
        let text = render(
            &["VNI", "MAC"],
            &[vec!["10000".into(), "x".into()], vec!["1".into(), String::new()]],
        );
        assert_eq!(text, "VNI    MAC\n10000  x\n1\n");
    }

    #[test]
    fn uptime_changes_its_form_after_a_day_and_after_a_week() {
        assert_eq!(uptime(62_000), "00:01:02");
        assert_eq!(uptime(93_780_000), "1d02h03m");
        assert_eq!(uptime(788_400_000), "1w2d03h");
    }
}
