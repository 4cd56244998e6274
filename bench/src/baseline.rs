//! What the server is compared with: the same runtime, listener and middleware, a POST that reads the whole body and
//! answers a constant.

use std::path::PathBuf;

use axum::http::{HeaderValue, header};
use bytes::Bytes;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use upswing_privacy::Keyring;
use upswing_server::Config;

use crate::failure::{Doing as _, Result};

/// Arguments of the baseline.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Where its (unused) database may be.
    #[arg(long)]
    folder: PathBuf,
    /// The route that is imitated.
    #[arg(long)]
    path: String,
    /// The constant.
    #[arg(long)]
    answer: String,
}

/// Serves until the process is ended.
pub(crate) fn run(args: Args) -> Result<()> {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().enable_all().build().doing("starting the baseline")?;
    runtime.block_on(serve(args))
}

async fn serve(args: Args) -> Result<()> {
    let folder = args.folder.join(format!("baseline-{}", uuid::Uuid::now_v7().simple()));
    let database = format!("sqlite:{}", folder.join("unused.db").display());
    let keyring = Keyring::generate().doing("making a key")?;
    let answer = Bytes::from(args.answer);
    let handler = axum::routing::post(move |body: Bytes| {
        let answer = answer.clone();
        async move {
            // Read, not looked at.
            drop(body);
            ([(header::CONTENT_TYPE, HeaderValue::from_static("application/json"))], answer)
        }
    });
    let router = upswing_server::behind_gate(Config::new(database, keyring), "POST", &args.path, handler)
        .await
        .doing("the middleware")?;
    let listener = TcpListener::bind("127.0.0.1:0").await.doing("listening")?;
    println!("http://{}", listener.local_addr().doing("listening")?);
    let mut stop = signal(SignalKind::terminate()).doing("waiting for the end")?;
    let stopped = async move {
        stop.recv().await;
    };
    upswing_server::serve(listener, router, stopped).await;
    std::fs::remove_dir_all(folder).doing("removing a folder")
}
