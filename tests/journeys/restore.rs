//! A backup as docs/operations.md describes it is restored on another machine's
//! folder and database, and the server goes on with it.

use std::{
    path::Path,
    process::{Command, Output},
    sync::Arc,
};

use postgres::cluster::{Cluster, Durability};
use reqwest::Method;

use crate::{
    faults::{once, patient::Patient, request, session},
    server::{Folder, SALUS, Server},
};

fn run(program: &str, arguments: &[&str]) -> Output {
    let done = Command::new(program).args(arguments).output().expect(program);
    assert!(done.status.success(), "{program}: {}", String::from_utf8_lossy(&done.stderr));
    done
}

fn text(path: &Path) -> &str {
    path.to_str().expect("a path")
}

#[tokio::test]
async fn a_backup_is_restored_as_the_operations_guide_says() {
    let mut server = Server::start();
    let profile = Patient::arrive(&server, "restored").await.get("/api/profile").await;
    let kept = tempfile::tempdir().expect("a folder for the backup");
    let (dump, files) = (kept.path().join("salus.dump"), kept.path().join("files.tar"));
    let keys = kept.path().join("keys.tar");
    let superuser = format!("postgres://postgres@localhost/salus?host={}", text(&server.socket()));
    run("pg_dump", &["--format=custom", "--file", text(&dump), &superuser]);
    let data = server.data_dir().to_owned();
    run("tar", &["-C", text(&data), "-cf", text(&files), "objects"]);
    run("tar", &["-C", text(&data), "-cf", text(&keys), "keys", "signing"]);
    assert!(server.stop());

    let folder = Folder::new();
    std::fs::create_dir_all(&folder.path).expect("a folder");
    for archive in [&keys, &files] {
        run("tar", &["-C", text(&folder.path), "-xpf", text(archive)]);
    }
    // The other database; its roles are there, as CREATE ROLE makes them.
    let beside = Folder::new();
    let cluster = Arc::new(Cluster::start(&beside.path, Durability::None).expect("a cluster"));
    cluster.discard_with_this_process().expect("its end");
    cluster.ensure_database("salus").expect("a database");
    run("pg_restore", &["--dbname", &cluster.superuser_url("salus"), text(&dump)]);
    let command = |arguments: &[&str], url: &str| {
        let done = Command::new(SALUS)
            .args(arguments)
            .args(["--data-dir", text(&folder.path)])
            .env("DATABASE_URL", url)
            .output()
            .expect("the binary");
        let said = format!(
            "{}{}",
            String::from_utf8_lossy(&done.stdout),
            String::from_utf8_lossy(&done.stderr)
        );
        (done.status.success(), said)
    };
    let (migrated, said) = command(&["migrate"], &cluster.owner_url("salus"));
    assert!(migrated, "{said}");
    let url = cluster.url("salus");
    let (intact, said) = command(&["audit", "verify"], &url);
    assert!(intact && said.contains("intact"), "{said}");

    // A key ring that is another vouches for nothing, and serves nobody.
    std::fs::rename(folder.path.join("keys"), folder.path.join("kept")).expect("a move");
    for refused in [&["audit", "verify"][..], &["serve", "--demo", "--port", "0"]] {
        let (done, said) = command(refused, &url);
        assert!(!done && said.contains("are not those of this database"), "{refused:?}: {said}");
    }
    // Nor does the demo's staff come into a database that may be production's.
    let (done, said) = command(&["seed"], &url);
    assert!(!done && said.contains("development"), "{said}");
    std::fs::remove_dir_all(folder.path.join("keys")).expect("a folder less");
    std::fs::rename(folder.path.join("kept"), folder.path.join("keys")).expect("a move");

    let server = Server::start_in(folder, &[("DATABASE_URL", &url)]);
    // The address is found by its keyed digest, and the sealed profile opens.
    let session = session(&server, "restored@patients.example", "a-long-enough-password").await;
    let token = session["access_token"].as_str().expect("a token");
    let again = once(request(&server, Method::GET, "/api/profile", token)).await;
    assert_eq!((again.status, again.body), (200, profile));
}
