//! The registry that is compiled in.

use zoo_registry::Registry;

fn shipped() -> Registry {
    Registry::shipped().unwrap_or_else(|error| panic!("{error}"))
}

#[test]
fn is_right() {
    assert!(shipped().encoders().len() >= 10);
}
