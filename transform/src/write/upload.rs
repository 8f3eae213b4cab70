//! Sending a file to the stage while its next part is being encoded.

use bytes::Bytes;
use datafusion::common::runtime::SpawnedTask;
use object_store::path::Path;

use crate::code::Code;
use crate::error::{Error, Result};
use crate::stage::{PART_SIZE, Stage, Staged, StagedWriter};

/// A file on its way to the stage, one part after the other.
pub(super) struct Upload {
    stage: Stage,
    path: Path,
    attempt: String,
    index: usize,
    state: State,
}

enum State {
    NotBegun,
    /// Bytes are under way.
    Sending(SpawnedTask<(StagedWriter, Result<()>)>),
    Idle(StagedWriter),
}

impl Upload {
    /// An upload that begins with the first bytes; `index` is unique within this attempt of the run.
    pub(super) fn new(stage: &Stage, path: Path, attempt: &str, index: usize) -> Self {
        Self { stage: stage.clone(), path, attempt: attempt.to_owned(), index, state: State::NotBegun }
    }

    /// Sends bytes, at least a part of them, in the background, once those before have arrived.
    pub(super) async fn send(&mut self, bytes: Bytes) -> Result<()> {
        let mut writer = self.writer().await?;
        self.state = State::Sending(SpawnedTask::spawn(async move {
            let outcome = in_parts(&mut writer, bytes).await;
            (writer, outcome)
        }));
        Ok(())
    }

    /// Sends the last bytes. On an error the upload is given up.
    pub(super) async fn finish(mut self, last: Bytes) -> Result<Staged> {
        let mut writer = match self.writer().await {
            Ok(writer) => writer,
            Err(error) => {
                self.abort().await;
                return Err(error);
            }
        };
        match in_parts(&mut writer, last).await {
            Ok(()) => writer.finish().await,
            Err(error) => {
                writer.abort().await;
                Err(error)
            }
        }
    }

    /// Gives the upload up.
    pub(super) async fn abort(mut self) {
        match std::mem::replace(&mut self.state, State::NotBegun) {
            State::NotBegun => {}
            State::Idle(writer) => writer.abort().await,
            State::Sending(task) => {
                if let Ok((writer, _)) = task.join().await {
                    writer.abort().await;
                }
            }
        }
    }

    /// What the next bytes go to, once those before have arrived.
    async fn writer(&mut self) -> Result<StagedWriter> {
        match std::mem::replace(&mut self.state, State::NotBegun) {
            State::NotBegun => self.stage.create(self.path.clone(), &self.attempt, self.index).await,
            State::Idle(writer) => Ok(writer),
            State::Sending(task) => {
                let (writer, outcome) =
                    task.join().await.map_err(|error| Error::new(Code::Internal, error.to_string()))?;
                match outcome {
                    Ok(()) => Ok(writer),
                    Err(error) => {
                        self.state = State::Idle(writer);
                        Err(error)
                    }
                }
            }
        }
    }
}

/// Cuts bytes into parts; what is left over goes with the last one, because only the very last of a file may be small.
async fn in_parts(writer: &mut StagedWriter, mut bytes: Bytes) -> Result<()> {
    while bytes.len() >= 2 * PART_SIZE {
        writer.write(bytes.split_to(PART_SIZE)).await?;
    }
    writer.write(bytes).await
}
