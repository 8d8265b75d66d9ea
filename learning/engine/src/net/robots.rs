//! robots.txt (RFC 9309).

/// What a server's robots.txt says.
#[derive(Debug, Clone, Default)]
pub struct Robots {
    groups: Vec<Group>,
}

#[derive(Debug, Clone, Default)]
struct Group {
    agents: Vec<String>,
    /// Pattern, and whether it allows.
    rules: Vec<(String, bool)>,
}

impl Robots {
    /// Reads the file. What is no rule is skipped, as the standard says.
    pub fn parse(text: &str) -> Self {
        let mut groups: Vec<Group> = Vec::new();
        let mut naming = false;
        // As much as the standard wants to be read at least.
        for line in text.lines().take(50_000) {
            let line = line.split('#').next().unwrap_or_default().trim();
            let Some((key, value)) = line.split_once(':') else { continue };
            let value = value.trim();
            match key.trim().to_ascii_lowercase().as_str() {
                "user-agent" => {
                    if !naming {
                        groups.push(Group::default());
                    }
                    naming = true;
                    if let Some(group) = groups.last_mut() {
                        group.agents.push(value.to_ascii_lowercase());
                    }
                }
                key @ ("allow" | "disallow") => {
                    naming = false;
                    if let Some(group) = groups.last_mut().filter(|_| !value.is_empty()) {
                        group.rules.push((value.to_owned(), key == "allow"));
                    }
                }
                _ => {}
            }
        }
        Self { groups }
    }

    /// Of a server that does not let its file be read.
    pub fn closed() -> Self {
        Self { groups: vec![Group { agents: vec!["*".into()], rules: vec![("/".into(), false)] }] }
    }

    /// Whether an agent may ask for a path: the longest rule that fits decides, and of equal ones that which allows.
    pub fn allows(&self, agent: &str, path: &str) -> bool {
        let product: String =
            agent.chars().take_while(|c| c.is_ascii_alphanumeric() || "-_".contains(*c)).collect();
        let product = product.to_ascii_lowercase();
        let named = |name: &str| -> Vec<&Group> {
            self.groups.iter().filter(|group| group.agents.iter().any(|a| a == name)).collect()
        };
        let own = named(&product);
        let groups = if own.is_empty() { named("*") } else { own };
        let fitting = groups.iter().flat_map(|group| &group.rules).filter(|(pattern, _)| fits(pattern, path));
        fitting.max_by_key(|(pattern, allows)| (pattern.len(), *allows)).is_none_or(|(_, allows)| *allows)
    }
}

/// Whether a path begins as a pattern says; `*` stands for anything, `$` for the end.
fn fits(pattern: &str, path: &str) -> bool {
    let (pattern, whole) = match pattern.strip_suffix('$') {
        Some(pattern) => (pattern, true),
        None => (pattern, false),
    };
    let mut parts = pattern.split('*');
    let Some(mut rest) = path.strip_prefix(parts.next().unwrap_or_default()) else { return false };
    let mut parts = parts.peekable();
    if parts.peek().is_none() {
        return !whole || rest.is_empty();
    }
    while let Some(part) = parts.next() {
        if whole && parts.peek().is_none() {
            return rest.ends_with(part);
        }
        match rest.find(part) {
            Some(at) => rest = &rest[at + part.len()..],
            None => return false,
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_rule_decides() {
        let robots = Robots::parse(
            "# a comment\nUser-agent: *\nDisallow: /private\nAllow: /private/open$\nDisallow: /*.gif$\nDisallow:\n\
             Sitemap: x\n\nUser-agent: other\nUser-agent: zoo-data-engine\nDisallow: /engine\n",
        );
        for (agent, path, allowed) in [
            ("somebody/1.0", "/", true),
            ("somebody/1.0", "/private/x", false),
            ("somebody/1.0", "/private/open", true),
            ("somebody/1.0", "/private/open/more", false),
            ("somebody/1.0", "/a/b.gif", false),
            ("somebody/1.0", "/a/b.gif?x", true),
            // Who has a group of its own has that and no other.
            ("zoo-data-engine/0.1 (x)", "/private/x", true),
            ("zoo-data-engine/0.1 (x)", "/engine/x", false),
            ("OTHER", "/engine", false),
        ] {
            assert_eq!(robots.allows(agent, path), allowed, "{agent} {path}");
        }
        assert!(Robots::parse("").allows("a", "/x"));
        assert!(!Robots::closed().allows("a", "/x"));
    }
}
