//! How much memory this process holds, where the system tells (Linux).

/// Bytes that are resident.
pub fn resident() -> Option<u64> {
    field("VmRSS:")
}

/// Bytes that were resident at most, since the start or since [`forget_peak`].
pub fn peak() -> Option<u64> {
    field("VmHWM:")
}

/// Lets [`peak`] begin anew; where the system does not allow it, the peak stays that since the start.
pub fn forget_peak() {
    // 5 resets the high-water mark of resident memory (proc_pid_clear_refs(5)).
    let _ = std::fs::write("/proc/self/clear_refs", "5");
}

/// Bytes that programs can still get without anything being put aside for it.
pub fn available() -> Option<u64> {
    of("/proc/meminfo", "MemAvailable:")
}

fn field(name: &str) -> Option<u64> {
    of("/proc/self/status", name)
}

fn of(file: &str, name: &str) -> Option<u64> {
    let status = std::fs::read_to_string(file).ok()?;
    let kilobytes = status.lines().find_map(|line| line.strip_prefix(name))?.trim().strip_suffix("kB")?;
    Some(kilobytes.trim().parse::<u64>().ok()? * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg(target_os = "linux")]
    fn the_peak_remembers_what_was_given_back_until_it_forgets() {
        const BYTES: usize = 64 << 20;
        let before = resident().unwrap();
        let mut block = vec![0u8; BYTES];
        // One byte a page makes the page resident.
        block.iter_mut().step_by(4096).for_each(|byte| *byte = 1);
        std::hint::black_box(&block);
        drop(block);
        let held = peak().unwrap();
        assert!(held >= before + BYTES as u64 / 2, "{held} after {before}");
        forget_peak();
        assert!(peak().unwrap() < held);
        assert!(available().unwrap() > 1 << 20);
    }
}
