//! What an expression may ask of the machine. The parser and the evaluator go
//! down one frame of the stack for every level of an expression, and a loop in
//! a loop multiplies: without a bound one rule could end the process or keep it
//! busy for hours. Whatever is refused here is refused before it is parsed.

use std::thread;

use cel::{
    IdedExpr, Program,
    common::ast::{CallExpr, EntryExpr, Expr, LiteralValue},
};

/// The longest expression in bytes.
pub const LONGEST: usize = 2_000;
/// How many brackets are open at a time.
const DEEPEST: usize = 12;
/// Words, texts, numbers and signs.
const MOST_TOKENS: usize = 300;
/// `… ? … : …`, each of which is one level deeper than the one before it.
const MOST_CHOICES: usize = 8;
/// `+ - * / %`: added texts and lists grow with each.
const MOST_SUMS: usize = 8;
/// What stands in a row without `&&`, `||`, a comma or a bracket of its own, as
/// `a.b.c`, `a[0][0]`, `!!!!a` and `1 < 2 < 3`: it is as deep as it is long.
const LONGEST_TERM: usize = 40;
/// `all`, `exists`, `exists_one`, `map` and `filter`, one after the other.
const MOST_LOOPS: usize = 4;
/// The levels of what was parsed, each of which is a frame of the evaluator.
const DEEPEST_TREE: usize = 24;
/// A list that stands in the rule itself.
const LONGEST_LIST: usize = 100;
/// A pattern is made ready anew each time that it is held against a text.
const MOST_PATTERNS: usize = 2;
const LONGEST_PATTERN: usize = 60;

/// The parser takes some hundred kilobytes of the stack for every bracket: more
/// than a thread of the server has for the deepest text that is allowed, and a
/// sixth of this.
const PARSER_STACK: usize = 16 * 1024 * 1024;

/// Parses what is within the limits; `Err` says what is not, or why it does
/// not parse.
pub fn compile(expression: &str) -> Result<Program, String> {
    check_text(expression)?;
    // What is parsed is kept, so that there are few of these threads. What is
    // too deep for others is also dropped on it.
    let parse = || {
        let program = Program::compile(expression).map_err(|error| error.to_string())?;
        Cost::default().count(program.expression(), Place::default())?;
        Ok(program)
    };
    let parsed = thread::scope(|scope| {
        let parser = thread::Builder::new().stack_size(PARSER_STACK).spawn_scoped(scope, parse);
        parser.map(thread::ScopedJoinHandle::join)
    });
    match parsed {
        Ok(Ok(parsed)) => parsed,
        Ok(Err(_)) => Err("it cannot be parsed".to_owned()),
        Err(error) => Err(format!("it cannot be parsed now: {error}")),
    }
}

#[derive(Clone, Copy)]
enum Token {
    Open(u8),
    Close(u8),
    /// Between two terms.
    Separator,
    Choice,
    Sum,
    /// A word, a number, a text, or another sign.
    Other,
}

/// Counts tokens as the grammar of CEL has them. Where the two could disagree
/// on where a text ends, and so on which brackets are in it, it is refused.
fn check_text(expression: &str) -> Result<(), String> {
    if expression.len() > LONGEST {
        return Err(format!("it has more than {LONGEST} characters"));
    }
    let mut scanner = Scanner { bytes: expression.as_bytes(), at: 0 };
    let (mut tokens, mut choices, mut sums) = (0, 0, 0);
    // The brackets that are open, and the length of the term in each.
    let mut open: Vec<(u8, usize)> = vec![(0, 0)];
    while let Some(token) = scanner.next_token()? {
        tokens += 1;
        if let Some((_, term)) = open.last_mut() {
            *term = if matches!(token, Token::Separator) { 0 } else { *term + 1 };
        }
        match token {
            Token::Open(bracket) => open.push((bracket, 0)),
            Token::Close(bracket) => match open.pop() {
                Some((opened, _)) if opened == bracket => {
                    // The bracket belongs to the term that it is in.
                    if let Some((_, term)) = open.last_mut() {
                        *term += 1;
                    }
                }
                _ => return Err("its brackets do not match".to_owned()),
            },
            Token::Choice => choices += 1,
            Token::Sum => sums += 1,
            Token::Separator | Token::Other => {}
        }
        let too_many = [
            (tokens, MOST_TOKENS, "words and signs"),
            (open.len() - 1, DEEPEST, "brackets in one another"),
            (choices, MOST_CHOICES, "question marks"),
            (sums, MOST_SUMS, "calculations"),
            (open.last().map_or(0, |(_, term)| *term), LONGEST_TERM, "words and signs in a row"),
        ];
        if let Some((_, most, what)) = too_many.into_iter().find(|(count, most, _)| count > most) {
            return Err(format!("it has more than {most} {what}"));
        }
    }
    Ok(())
}

struct Scanner<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Scanner<'_> {
    fn peek(&self, ahead: usize) -> Option<u8> {
        self.bytes.get(self.at + ahead).copied()
    }

    fn next_token(&mut self) -> Result<Option<Token>, String> {
        while let Some(byte) = self.peek(0) {
            match byte {
                b' ' | b'\t' | b'\r' | b'\n' | 0x0c => self.at += 1,
                b'/' if self.peek(1) == Some(b'/') => {
                    while self.peek(0).is_some_and(|byte| byte != b'\n') {
                        self.at += 1;
                    }
                }
                _ => return self.token(byte).map(Some),
            }
        }
        Ok(None)
    }

    fn token(&mut self, byte: u8) -> Result<Token, String> {
        if byte.is_ascii_alphanumeric() || byte == b'_' {
            let start = self.at;
            while self.peek(0).is_some_and(|byte| byte.is_ascii_alphanumeric() || byte == b'_') {
                self.at += 1;
            }
            return match self.peek(0) {
                Some(quote @ (b'"' | b'\'')) => match &self.bytes[start..self.at] {
                    b"r" | b"R" => self.text(quote, true),
                    _ => Err("a text stands apart from the word before it".to_owned()),
                },
                _ => Ok(Token::Other),
            };
        }
        if let b'"' | b'\'' = byte {
            return self.text(byte, false);
        }
        self.at += 1;
        Ok(match byte {
            b'(' | b'[' | b'{' => Token::Open(byte),
            b')' => Token::Close(b'('),
            b']' => Token::Close(b'['),
            b'}' => Token::Close(b'{'),
            b',' => Token::Separator,
            b'&' | b'|' if self.peek(0) == Some(byte) => {
                self.at += 1;
                Token::Separator
            }
            b'?' => Token::Choice,
            b'+' | b'-' | b'*' | b'/' | b'%' => Token::Sum,
            b'`' => return Err("a name stands without backquotes".to_owned()),
            _ => Token::Other,
        })
    }

    /// Steps over a text that begins here.
    fn text(&mut self, quote: u8, raw: bool) -> Result<Token, String> {
        if self.peek(1) == Some(quote) && self.peek(2) == Some(quote) {
            return Err("a text stands in one pair of quotes, not in three".to_owned());
        }
        self.at += 1;
        loop {
            match self.peek(0) {
                None | Some(b'\n' | b'\r') => return Err("a text has no end".to_owned()),
                Some(byte) if byte == quote => {
                    self.at += 1;
                    return Ok(Token::Other);
                }
                Some(b'\\') if !raw => self.escape()?,
                Some(_) => self.at += 1,
            }
        }
    }

    fn escape(&mut self) -> Result<(), String> {
        let octal = |byte: u8| matches!(byte, b'0'..=b'7');
        let hexadecimal = |byte: u8| byte.is_ascii_hexdigit();
        let (digits, is_digit): (usize, &dyn Fn(u8) -> bool) = match self.peek(1) {
            Some(
                b'a' | b'b' | b'f' | b'n' | b'r' | b't' | b'v' | b'"' | b'\'' | b'\\' | b'?' | b'`',
            ) => (0, &octal),
            Some(b'0'..=b'3') => (2, &octal),
            Some(b'x' | b'X') => (2, &hexadecimal),
            Some(b'u') => (4, &hexadecimal),
            Some(b'U') => (8, &hexadecimal),
            _ => return Err("a text has a backslash that escapes nothing".to_owned()),
        };
        self.at += 2;
        for _ in 0..digits {
            if !self.peek(0).is_some_and(is_digit) {
                return Err("a text has a backslash that escapes nothing".to_owned());
            }
            self.at += 1;
        }
        Ok(())
    }
}

/// What running an expression costs: besides the limits of its text nothing in
/// it may run more often than the answers have values.
#[derive(Default)]
struct Cost {
    loops: usize,
    patterns: usize,
}

/// Where in the tree an expression is.
#[derive(Clone, Copy, Default)]
struct Place {
    depth: usize,
    in_loop: bool,
}

impl Cost {
    fn count(&mut self, expression: &IdedExpr, place: Place) -> Result<(), String> {
        if place.depth > DEEPEST_TREE {
            return Err(format!("it is nested more than {DEEPEST_TREE} deep"));
        }
        let below = Place { depth: place.depth + 1, ..place };
        match &expression.expr {
            Expr::Unspecified | Expr::Ident(_) | Expr::Literal(_) => Ok(()),
            Expr::Select(select) => self.count(&select.operand, below),
            Expr::Call(call) => {
                if call.func_name == "matches" {
                    self.pattern(call, place.in_loop)?;
                }
                call.target.iter().try_for_each(|target| self.count(target, below))?;
                self.all(&call.args, below)
            }
            Expr::List(list) => {
                if list.elements.len() > LONGEST_LIST {
                    return Err(format!("it has a list of more than {LONGEST_LIST}"));
                }
                self.all(&list.elements, below)
            }
            Expr::Comprehension(found) => {
                self.loops += 1;
                if place.in_loop {
                    return Err("all, exists, map and filter do not stand in one another".into());
                }
                if self.loops > MOST_LOOPS {
                    return Err(format!(
                        "it has more than {MOST_LOOPS} of all, exists, map, filter"
                    ));
                }
                let in_loop = Place { in_loop: true, ..below };
                self.count(&found.iter_range, below)?;
                self.count(&found.accu_init, below)?;
                self.count(&found.loop_cond, in_loop)?;
                self.count(&found.loop_step, in_loop)?;
                self.count(&found.result, in_loop)
            }
            Expr::Map(map) => {
                map.entries.iter().try_for_each(|entry| self.entry(&entry.expr, below))
            }
            Expr::Struct(made) => {
                made.entries.iter().try_for_each(|entry| self.entry(&entry.expr, below))
            }
        }
    }

    fn all(&mut self, expressions: &[IdedExpr], place: Place) -> Result<(), String> {
        expressions.iter().try_for_each(|expression| self.count(expression, place))
    }

    fn entry(&mut self, entry: &EntryExpr, place: Place) -> Result<(), String> {
        match entry {
            EntryExpr::StructField(field) => self.count(&field.value, place),
            EntryExpr::MapEntry(entry) => {
                self.count(&entry.key, place)?;
                self.count(&entry.value, place)
            }
        }
    }

    /// A pattern is short, stands in the rule itself and repeats nothing a
    /// given number of times, so that making it ready takes no time to speak
    /// of; and it is not made ready for every value of a list.
    fn pattern(&mut self, call: &CallExpr, in_loop: bool) -> Result<(), String> {
        self.patterns += 1;
        if in_loop {
            return Err("matches does not stand in all, exists, map or filter".to_owned());
        }
        if self.patterns > MOST_PATTERNS {
            return Err(format!("it has more than {MOST_PATTERNS} of matches"));
        }
        match call.args.last().map(|pattern| &pattern.expr) {
            Some(Expr::Literal(LiteralValue::String(pattern))) => {
                let pattern = pattern.inner();
                if pattern.len() > LONGEST_PATTERN {
                    return Err(format!("a pattern has at most {LONGEST_PATTERN} characters"));
                }
                if pattern.contains('{') {
                    return Err("a pattern has no counted repetitions, as in {3}".to_owned());
                }
                Ok(())
            }
            _ => Err("the pattern of matches stands in the rule itself".to_owned()),
        }
    }
}

#[cfg(test)]
mod tests;
