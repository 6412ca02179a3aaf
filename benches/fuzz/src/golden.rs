//! The golden bytes of the domain as seeds, read from where they are checked.

/// Every run of hexadecimal digits in the string literals of a source, and every literal that is
/// nothing else as one run.
pub(crate) fn bytes_in(source: &str) -> Vec<Vec<u8>> {
    found_in(source, 21)
}

/// The same of a source with whole records, which are few.
pub(crate) fn records_in(source: &str) -> Vec<Vec<u8>> {
    found_in(source, 5)
}

fn found_in(source: &str, least: usize) -> Vec<Vec<u8>> {
    let is_hex = |text: &&str| text.chars().all(|c| c.is_ascii_hexdigit() || c.is_whitespace());
    let mut found = Vec::new();
    for literal in source.split('"').filter(is_hex) {
        found.extend(literal.split_whitespace().filter_map(unhex));
        found.extend(unhex(&literal.split_whitespace().collect::<String>()));
    }
    found.sort_unstable();
    found.dedup();
    assert!(found.len() >= least, "only {} golden values were found", found.len());
    found
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    let digits: Option<Vec<_>> = text.chars().map(|digit| digit.to_digit(16)).collect();
    let (pairs, rest) = digits.as_deref()?.as_chunks::<2>();
    let byte = |[high, low]: &[u32; 2]| u8::try_from(high * 16 + low).ok();
    (rest.is_empty() && !pairs.is_empty()).then(|| pairs.iter().map(byte).collect())?
}
