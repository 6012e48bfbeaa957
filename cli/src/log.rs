use std::{
    io::{self, Write},
    sync::Arc,
};

use tracing_subscriber::{EnvFilter, fmt::MakeWriter};

use crate::{arguments::Options, progress::Progress};

/// Starts the log on stderr, once in a process. librqbit talks a lot, so it is heard only when everything shall be.
pub fn start(progress: &Arc<Progress>, options: &Options, colored: bool) {
    let directives = match (options.quiet, options.verbose) {
        (true, _) => "error,librqbit=off",
        (false, 0) => "warn,librqbit=off",
        (false, 1) => "info,nova_cli=debug,nova_seeder=debug,nova_tracker=debug,librqbit=off",
        (false, _) => "debug,librqbit=debug",
    };
    let log = tracing_subscriber::fmt()
        .with_env_filter(EnvFilter::new(directives))
        .with_ansi(colored)
        .with_target(options.verbose > 0)
        .with_writer(Lines(progress.clone()));
    if options.verbose == 0 {
        // In tests many commands run in one process; the first one's log serves them all.
        let _ = log.without_time().try_init();
    } else {
        let _ = log.try_init();
    }
}

/// Writes the log between the bars.
struct Lines(Arc<Progress>);

/// One line of the log, said when it is complete.
struct Line(Arc<Progress>, Vec<u8>);

impl MakeWriter<'_> for Lines {
    type Writer = Line;

    fn make_writer(&self) -> Line {
        Line(self.0.clone(), Vec::new())
    }
}

impl Write for Line {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.1.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        self.0.say(String::from_utf8_lossy(&self.1).trim_end());
    }
}
