//! Keys as a table for people.

use crate::auth::keys::lifecycle::Row;

/// A line a key under one of heads; columns as wide as they must be.
pub(super) fn table(rows: &[Row]) -> String {
    let heads = Row::HEADS.map(str::to_owned);
    let lines: Vec<_> = std::iter::once(heads).chain(rows.iter().map(Row::cells)).collect();
    let mut widths = [0; Row::HEADS.len()];
    for cells in &lines {
        for (width, cell) in widths.iter_mut().zip(cells) {
            *width = (*width).max(cell.len());
        }
    }
    let mut text = String::new();
    for cells in &lines {
        let padded: Vec<_> = cells.iter().zip(widths).map(|(cell, width)| format!("{cell:width$}")).collect();
        text.push_str(padded.join("  ").trim_end());
        text.push('\n');
    }
    text
}
