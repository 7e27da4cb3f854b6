//! What the demo prints: each step with what came back.

use std::io::Write as _;

#[derive(Default)]
pub struct Report {
    pub held: u32,
    pub failed: u32,
}

impl Report {
    pub fn begin(&self, number: u32, title: &str) {
        self.line(&format!("step {number:>2}  {title}"));
    }

    pub fn detail(&self, text: &str) {
        self.line(&format!("         {text}"));
    }

    pub fn end(&mut self, number: u32, result: &anyhow::Result<()>) {
        match result {
            Ok(()) => {
                self.held += 1;
                self.line(&format!("      ✓  step {number} holds"));
            }
            Err(error) => {
                self.failed += 1;
                self.line(&format!("      ✗  step {number} does not hold: {error:#}"));
            }
        }
    }

    pub fn line(&self, text: &str) {
        let mut out = std::io::stdout().lock();
        // Whoever reads may have gone; the walk goes on.
        let _ = writeln!(out, "{text}");
        let _ = out.flush();
    }
}
