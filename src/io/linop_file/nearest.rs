//! What somebody may have meant.

/// The one of `names` that is nearest to `word`: at most two slips away, and fewer than half of its letters.
pub(super) fn nearest<'n>(word: &str, names: impl IntoIterator<Item = &'n str>) -> Option<&'n str> {
    let word = shown(word).to_lowercase();
    let distances = names.into_iter().map(|name| (distance(&word, name), name));
    distances.min().filter(|(slips, name)| *slips <= 2 && 2 * slips < name.len()).map(|(_, name)| name)
}

/// The beginning of a word, for a message.
pub(super) fn shown(word: &str) -> String {
    word.chars().take(40).collect()
}

/// Letters to insert, delete or replace, to make one of the other.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, letter) in a.chars().enumerate() {
        let mut before = row[0];
        row[0] = i + 1;
        for (j, other) in b.iter().enumerate() {
            let replaced = before + usize::from(letter != *other);
            before = row[j + 1];
            row[j + 1] = replaced.min(row[j].min(before) + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slips_are_counted() {
        assert_eq!((distance("", "abc"), distance("abc", "abc"), distance("kitten", "sitting")), (3, 0, 3));
        let names = ["axes", "out", "centered"];
        assert_eq!(nearest("axis", names), Some("axes"));
        assert_eq!(nearest("Centred", names), Some("centered"));
        assert_eq!((nearest("to", ["op", "in"]), nearest("colour", names)), (None, None));
    }
}
