//! How much memory there is.

/// Bytes that this machine can still give without swapping; unknown where the system does not say it.
pub(super) fn available() -> Option<u64> {
    parse(&std::fs::read_to_string("/proc/meminfo").ok()?)
}

fn parse(text: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix("MemAvailable:"))?;
    let kilobytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    kilobytes.checked_mul(1024)
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn the_line_of_linux() {
        let text = "MemTotal:       65843256 kB\nMemFree:         1234 kB\nMemAvailable:   2048 kB\n";
        assert_eq!(parse(text), Some(2048 * 1024));
        assert_eq!(parse("MemTotal: 1 kB\n"), None);
        assert_eq!(parse("MemAvailable: lots\n"), None);
    }
}
