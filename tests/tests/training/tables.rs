//! Records with their pictures inside: tar shards and Parquet.

use std::sync::atomic::AtomicBool;

use zoo_data::{Job, Options, PicturesGo, Replace, Sharding, Table, Target, convert};
use zoo_train::Step;

use super::{CONNECTOR, from_nothing, run, shapes, train, trilobite};

/// The same is learnt from them as from files beside them, bit by bit; with what encoders saw on a disk as well.
#[test]
fn pictures_inside_tables_teach_what_files_teach() {
    let place = tempfile::tempdir().unwrap();
    let folder = place.path();
    shapes(folder, 6);
    for (path, shard) in [("shapes.parquet", None), ("shards/shapes.tar", Some(Sharding::whole(4)))] {
        let target = Target { path: folder.join(path), replace: Replace::Never, shard };
        let table = Table::open(&[folder.join("shapes.jsonl")], Options::default()).unwrap();
        let inside = PicturesGo::Inside(vec!["image".to_owned()]);
        let written =
            convert(&table, &inside, &target, &mut Job::new(&mut (), &AtomicBool::new(false))).unwrap();
        assert_eq!((written.rows, written.pictures), (6, 6));
    }
    let losses = |out: &str, records: &str, line: &str| -> Vec<u64> {
        let stage = format!("train = {CONNECTOR}\n{line}");
        let recipe = from_nothing(&trilobite(), out, &stage, 4) + "rate = 1e-3\n";
        let steps = train(&mut run(&recipe.replace("shapes.jsonl", records), folder));
        assert!(steps.iter().all(|step: &Step| step.skipped.is_empty() && step.samples > 0));
        steps.iter().map(|step| step.loss.unwrap().to_bits()).collect()
    };
    let expected = losses("files", "shapes.jsonl", "");
    assert_eq!(losses("parquet", "shapes.parquet", ""), expected);
    assert_eq!(losses("tar", "shards", ""), expected);
    assert_eq!(losses("kept", "shards", "features = \"seen\""), expected);
    assert_eq!(folder.join("seen").read_dir().unwrap().count(), 6);
    // Called by their content, they are found again in another table.
    assert_eq!(losses("again", "shapes.parquet", "features = \"seen\""), expected);
    assert_eq!(folder.join("seen").read_dir().unwrap().count(), 6);
}
