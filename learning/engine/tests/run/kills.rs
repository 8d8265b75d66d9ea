//! A run that is killed at any moment and begun again makes what one run makes, and leaves nothing else behind.

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use super::*;

const CHILD: &str = "ZOO_ENGINE_TEST";

/// What the other process does; nothing where this is a test like others.
#[test]
fn child() {
    let Ok(told) = std::env::var(CHILD) else { return };
    let told: Vec<&str> = told.split('\n').collect();
    let &[folder, model, wiki] = told.as_slice() else { panic!("{told:?}") };
    let mut plan = plan(Path::new(folder), model, Pages::MediaWiki(format!("http://{wiki}/w/api.php")));
    // Nobody is silent here, however busy the machine is.
    plan.manners.silence = Duration::from_secs(30);
    let made = run(plan);
    std::process::exit(i32::from(made.is_err()));
}

fn spawn(place: &Place, model: &Server, wiki: &Server) -> std::process::Child {
    let told = [place.0.path().to_str().unwrap(), &model.address, &wiki.address].join("\n");
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "kills::child", "--nocapture"]).env(CHILD, told);
    command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
}

#[test]
fn killed_at_any_moment_it_makes_the_same() {
    let (wiki, model) = (Server::new(wiki), Server::new(model));
    // Ids follow from content, which names the wiki: the same one for all.
    let bytes = |place: &Place| fs::read(place.out().join("data.jsonl")).unwrap();
    let whole = Place::new();
    let begun = Instant::now();
    assert!(spawn(&whole, &model, &wiki).wait().unwrap().success());
    let (full, asked) = (begun.elapsed().as_micros() as u64, model.requests().len());
    let mut dice = 7_u64;
    let mut kills = 0;
    while kills < 20 {
        let (place, before, killed) = (Place::new(), model.requests().len(), kills);
        loop {
            let mut child = spawn(&place, &model, &wiki);
            dice = dice.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            std::thread::sleep(Duration::from_micros((dice >> 33) % full));
            if child.try_wait().unwrap().is_none() {
                child.kill().unwrap();
                kills += 1;
            }
            if child.wait().unwrap().success() {
                break;
            }
        }
        assert_eq!(bytes(&place), bytes(&whole), "after {kills} kills");
        // A kill loses the answer that was on its way, and nothing that was kept.
        let again = model.requests().len() - before - asked;
        assert!(again <= kills - killed, "{again} asked again after {} kills", kills - killed);
        let walk = walkdir::WalkDir::new(place.out()).into_iter().map(Result::unwrap);
        let left: Vec<_> =
            walk.filter(|entry| entry.file_name().to_string_lossy().contains(".part")).collect();
        assert!(left.is_empty(), "{left:?}");
    }
}
