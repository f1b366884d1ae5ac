//! What the sources keep to, read from them: rooms use only rooms above them, nothing parallel runs while a lock or a
//! once-cell is held, and each linop of the crate shows how it is made.

use std::collections::{BTreeSet, HashSet};
use std::path::{Path, PathBuf};
use syn::visit::{self, Visit};

fn files(folder: &Path, out: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files(&path, out);
        } else if path.extension().is_some_and(|e| e == "rs") && path.file_name().is_none_or(|n| n != "tests.rs") {
            out.push(path);
        }
    }
}

/// All files of the library, by their path below `src`.
fn sources() -> Vec<(String, syn::File)> {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut all = Vec::new();
    files(&src, &mut all);
    all.sort();
    let read = |path: &PathBuf| {
        let name = path.strip_prefix(&src).unwrap().to_string_lossy().replace('\\', "/");
        (name, syn::parse_file(&std::fs::read_to_string(path).unwrap()).unwrap())
    };
    all.iter().map(read).collect()
}

fn is_test(attributes: &[syn::Attribute]) -> bool {
    attributes.iter().any(|a| a.path().is_ident("cfg") && a.parse_args::<syn::Path>().is_ok_and(|p| p.is_ident("test")))
}

/// The rooms that a file speaks of: `crate::room…`, in uses and elsewhere.
#[derive(Default)]
struct Arrows(BTreeSet<String>);

impl<'a> Visit<'a> for Arrows {
    fn visit_item_mod(&mut self, m: &'a syn::ItemMod) {
        if !is_test(&m.attrs) {
            visit::visit_item_mod(self, m);
        }
    }

    fn visit_item_use(&mut self, u: &'a syn::ItemUse) {
        if let syn::UseTree::Path(p) = &u.tree
            && p.ident == "crate"
        {
            self.tree(&p.tree);
        }
    }

    fn visit_path(&mut self, p: &'a syn::Path) {
        if p.segments.len() > 1 && p.segments[0].ident == "crate" {
            self.0.insert(p.segments[1].ident.to_string());
        }
        visit::visit_path(self, p);
    }
}

impl Arrows {
    fn tree(&mut self, tree: &syn::UseTree) {
        match tree {
            syn::UseTree::Path(p) => drop(self.0.insert(p.ident.to_string())),
            syn::UseTree::Name(n) => drop(self.0.insert(n.ident.to_string())),
            syn::UseTree::Rename(r) => drop(self.0.insert(r.ident.to_string())),
            syn::UseTree::Group(g) => g.items.iter().for_each(|t| self.tree(t)),
            syn::UseTree::Glob(_) => {}
        }
    }
}

#[test]
fn rooms_use_only_rooms_above_them() {
    let all = sources();
    let (_, lib) = all.iter().find(|(name, _)| name == "lib.rs").unwrap();
    // In the order of lib.rs; those with a body there are doors, not rooms.
    let rooms: Vec<String> = lib
        .items
        .iter()
        .filter_map(|item| match item {
            syn::Item::Mod(m) if m.content.is_none() => Some(m.ident.to_string()),
            _ => None,
        })
        .collect();
    let mut given = std::collections::HashMap::new();
    for item in &lib.items {
        if let syn::Item::Use(u) = item
            && let syn::UseTree::Path(path) = &u.tree
        {
            let mut names = Arrows::default();
            names.tree(&path.tree);
            given.extend(names.0.into_iter().map(|name| (name, path.ident.to_string())));
        }
    }
    let place = |room: &str| rooms.iter().position(|r| r == room);
    let mut wrong = Vec::new();
    for (name, file) in &all {
        let room = name.split('/').next().unwrap().trim_end_matches(".rs");
        let Some(own) = place(room) else { continue };
        let mut arrows = Arrows::default();
        arrows.visit_file(file);
        // Names that the crate's root gives out (`crate::Error`) are of the room that has them; its doors are for others.
        let room_of = |name: &String| given.get(name).map_or(name.clone(), Clone::clone);
        let back = arrows.0.iter().filter(|&other| {
            let other = room_of(other);
            ["program", "internal"].contains(&&*other) || place(&other).is_some_and(|at| at > own)
        });
        wrong.extend(back.map(|other| format!("{name} uses {other}")));
    }
    assert!(wrong.is_empty(), "arrows that run back up:\n{}", wrong.join("\n"));
    assert!(rooms.len() > 15, "{rooms:?}");
}

/// The names that a file gives out of its own files: those of its public uses.
fn given_out(file: &syn::File) -> BTreeSet<String> {
    let mut names = Arrows::default();
    for item in &file.items {
        if let syn::Item::Use(u) = item
            && matches!(u.vis, syn::Visibility::Public(_))
            && let syn::UseTree::Path(path) = &u.tree
            && path.ident != "crate"
        {
            names.tree(&path.tree);
        }
    }
    names.0
}

/// All public names of the library, and names of what is inside of types.
#[derive(Default)]
struct Names(BTreeSet<String>);

impl<'a> Visit<'a> for Names {
    fn visit_ident(&mut self, name: &'a proc_macro2::Ident) {
        self.0.insert(name.to_string());
    }

    // What a function does inside has names of its own.
    fn visit_block(&mut self, _: &'a syn::Block) {}
}

/// The paths that a text names in its code: `room::name`, `room::{a, b}`.
fn named(text: &str) -> Vec<(String, Vec<String>)> {
    let word = |c: char| c.is_alphanumeric() || c == '_';
    let mut all = Vec::new();
    for (at, _) in text.match_indices("::") {
        let front = text[..at].rsplit(|c| !word(c)).next().unwrap_or_default().to_string();
        let behind = &text[at + 2..];
        let listed = match behind.strip_prefix('{') {
            Some(list) => list.split('}').next().unwrap_or_default(),
            None => behind.split(|c| !word(c)).next().unwrap_or_default(),
        };
        all.push((front, listed.split(',').map(|n| n.trim().to_string()).filter(|n| !n.is_empty()).collect()));
    }
    all
}

#[test]
fn the_guide_names_what_there_is() {
    let mut names = Names::default();
    let all = sources();
    all.iter().for_each(|(_, file)| names.visit_file(file));
    let (_, door) = all.iter().find(|(name, _)| name == "lib.rs").unwrap();
    let mut given = given_out(door);
    given.extend(door.items.iter().filter_map(|item| match item {
        syn::Item::Mod(m) if matches!(m.vis, syn::Visibility::Public(_)) => Some(m.ident.to_string()),
        _ => None,
    }));
    let guide = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/guide.md")).unwrap();
    // Code that is compiled shows by itself that it is right.
    let tables = guide.split("```").step_by(2).collect::<String>();
    let found = named(&tables);
    assert!(found.len() > 60, "{}", found.len());
    let at_the_door =
        |front: &String| given.contains(front) || names.0.contains(front) && !front.starts_with(char::is_lowercase);
    // Rooms within rooms stand behind one.
    let inner: Vec<&String> = found.iter().flat_map(|(_, listed)| listed).collect();
    for (front, listed) in &found {
        assert!(at_the_door(front) || inner.contains(&front), "{front}::{listed:?}: {front} is not given out");
        let missing = listed.iter().find(|name| !names.0.contains(*name));
        assert!(missing.is_none(), "{front}::{missing:?} is not there");
    }
}

/// Whether a function gives a `Result<Linop>`.
fn makes_a_linop(f: &syn::ItemFn) -> bool {
    let syn::ReturnType::Type(_, t) = &f.sig.output else { return false };
    let syn::Type::Path(result) = &**t else { return false };
    let Some(last) = result.path.segments.last().filter(|s| s.ident == "Result") else { return false };
    let syn::PathArguments::AngleBracketed(arguments) = &last.arguments else { return false };
    let made = arguments.args.first();
    matches!(made, Some(syn::GenericArgument::Type(syn::Type::Path(p))) if p.path.is_ident("Linop"))
}

/// Whether the documentation of an item has an example that is run.
fn has_example(attributes: &[syn::Attribute]) -> bool {
    let mut inside = false;
    attributes.iter().any(|a| {
        let syn::Meta::NameValue(doc) = &a.meta else { return false };
        let syn::Expr::Lit(syn::ExprLit { lit: syn::Lit::Str(line), .. }) = &doc.value else { return false };
        let line = line.value();
        let fence = line.trim().strip_prefix("```").filter(|_| a.path().is_ident("doc"));
        let opens = fence.filter(|_| !inside).is_some_and(|language| language.is_empty());
        inside ^= fence.is_some();
        opens
    })
}

#[test]
fn every_linop_shows_how_it_is_made() {
    let all = sources();
    let (_, door) = all.iter().find(|(name, _)| name == "linop/mod.rs").unwrap();
    let given = given_out(door);
    let (mut found, mut without) = (0, Vec::new());
    for (name, file) in all.iter().filter(|(name, _)| name.starts_with("linop/")) {
        for item in &file.items {
            let syn::Item::Fn(f) = item else { continue };
            let public = matches!(f.vis, syn::Visibility::Public(_)) && given.contains(&f.sig.ident.to_string());
            if !public || !makes_a_linop(f) {
                continue;
            }
            found += 1;
            if !has_example(&f.attrs) {
                without.push(format!("{name}: {}", f.sig.ident));
            }
        }
    }
    assert!(without.is_empty(), "linops whose documentation has no example that is run:\n{}", without.join("\n"));
    // Functions are what has a small letter in front.
    let functions = given.iter().filter(|n| n.starts_with(|c: char| c.is_lowercase())).count();
    assert_eq!(found, functions, "functions that the room gives out, of which all make linops");
}

#[test]
fn an_example_that_is_not_run_is_none() {
    for (text, want) in [
        ("/// y = x.\npub fn f() {}", false),
        ("/// y = x.\n///\n/// ```\n/// f();\n/// ```\npub fn f() {}", true),
        ("/// ```text\n/// y = x\n/// ```\npub fn f() {}", false),
        ("/// ```text\n/// y = x\n/// ```\n/// ```\n/// f();\n/// ```\npub fn f() {}", true),
        ("/// ```ignore\n/// f();\n/// ```\npub fn f() {}", false),
    ] {
        let f: syn::ItemFn = syn::parse_str(text).unwrap();
        assert_eq!(has_example(&f.attrs), want, "{text}");
    }
}

/// What may be called while something is held: it runs nothing parallel, and calls nobody back who might.
const HARMLESS: &[&str] = &[
    // Collections, options and results.
    "and_then",
    "as_deref",
    "as_mut",
    "as_ref",
    "binary_search",
    "chain",
    "clear",
    "clone",
    "cloned",
    "cmp",
    "collect",
    "contains",
    "copied",
    "count",
    "drain",
    "drop",
    "entry",
    "expect",
    "extend",
    "filter",
    "filter_map",
    "find",
    "first",
    "flat_map",
    "for_each",
    "get",
    "get_mut",
    "get_or_insert",
    "get_or_insert_with",
    "insert",
    "into_inner",
    "into_iter",
    "into_values",
    "is_empty",
    "is_none",
    "is_none_or",
    "is_ok",
    "is_ok_and",
    "is_some",
    "is_some_and",
    "iter",
    "iter_mut",
    "last",
    "len",
    "map",
    "map_err",
    "map_or",
    "map_or_else",
    "max",
    "min",
    "next",
    "next_back",
    "nth",
    "ok",
    "ok_or_else",
    "or_default",
    "or_else",
    "or_insert",
    "or_insert_with",
    "partition",
    "peek",
    "pop",
    "pop_front",
    "pop_lru",
    "position",
    "push",
    "push_back",
    "put",
    "remove",
    "replace",
    "retain",
    "rev",
    "sort_by_key",
    "sum",
    "swap",
    "take",
    "then",
    "then_some",
    "to_string",
    "to_vec",
    "truncate",
    "try_for_each",
    "unwrap_or",
    "unwrap_or_default",
    "unwrap_or_else",
    "zip",
    "cast_slice",
    // Handles, counts, time, text.
    "Arc::clone",
    "Arc::downgrade",
    "Arc::strong_count",
    "Arc::new",
    "default",
    "new",
    "unbounded",
    "with_capacity",
    "strong_count",
    "upgrade",
    "load",
    "store",
    "fetch_add",
    "fetch_sub",
    "now",
    "parse",
    "var",
    "is_multiple_of",
    "saturating_sub",
    "checked_add",
    "wake",
    "try_lock",
    "lock",
    "hash_one",
    "at",
    "into",
    "Some",
    "Ok",
    "Err",
    "Error::Device",
    "Error::DeviceLost",
    "Error::Value",
];

/// What else may be called in a file while something is held, each with the reason.
const HARMLESS_IN: &[(&str, &[&str])] = &[
    // Wgpu's own calls: they wait for no other thread of ours.
    (
        "gpu/adapters.rs",
        &[
            "block_on",
            "enumerate_adapters",
            "instance",
            "new_without_display_handle",
            "empty",
            "with_env",
            "rank",
            "get_info",
        ],
    ),
    ("gpu/device.rs", &["open_adapter", "check"]),
    ("gpu/pipelines.rs", &["compile"]),
    ("gpu/queues/exit.rs", &["atexit"]),
    // Submitting, and reading what was submitted, is what the sections of lanes are for.
    ("gpu/queues/mod.rs", &["submit"]),
    ("gpu/queues/submit.rs", &["record", "stage", "submit", "unstage", "release", "fail", "close", "missed"]),
    ("gpu/queues/transfer.rs", &["on", "checked", "submit", "map_async", "write_buffer", "send"]),
    ("gpu/queues/lane.rs", &["open", "flatten"]),
    ("gpu/pool.rs", &["next_epoch", "from"]),
    // The state is let go of before a join is run; spawning only puts a task in line.
    ("host/tasks.rs", &["caught", "fail", "state", "spawn_fifo", "one"]),
    ("cli/printer.rs", &["err", "write_fmt", "flush"]),
    ("app/bessel.rs", &["from_fn", "sin"]),
    ("run/wait.rs", &["Ready", "waker"]),
    // A tile's cells are copied.
    (
        "primitive/interpolate/to_grid.rs",
        &["enumerate", "chunks_exact_mut", "chunks_exact", "copy_from_slice", "E::flat_mut", "std::slice::from_mut"],
    ),
    // A count, and a function that is not called yet.
    ("host/kept.rs", &["Ledger::of", "spare::keep_while", "spare::kept"]),
    ("shader/choices.rs", &["Box::leak"]),
];

fn found(name: &str, file: &syn::File) -> Vec<String> {
    let mut held = Held { file: name, wrong: Vec::new(), depth: 0 };
    held.visit_file(file);
    held.wrong
}

#[test]
fn nothing_parallel_runs_while_something_is_held() {
    let wrong: Vec<String> = sources().iter().flat_map(|(name, file)| found(name, file)).collect();
    let what = "calls that may run something parallel, or are not known to be harmless";
    assert!(wrong.is_empty(), "{what}:\n{}", wrong.join("\n"));
}

#[test]
fn what_is_run_while_something_is_held_is_found() {
    for (text, want) in [
        ("fn f() { CELL.get_or_init(|| points.par_iter().sum()); }", vec!["par_iter"]),
        ("fn f() { CELL.get_or_init(prepare); }", vec!["prepare"]),
        ("static X: LazyLock<T> = LazyLock::new(|| apply());", vec!["apply"]),
        ("fn f() { let g = m.lock().unwrap_or_else(g); a.apply(&x); }", vec!["apply"]),
        ("fn f() { let g = self.state(); a.apply(&x); }", vec!["apply"]),
        ("fn f() { let g = m.lock().unwrap(); g.push(1); drop(g); a.apply(&x); }", vec![]),
        ("fn f() { { let g = m.lock().unwrap(); g.push(1); } a.apply(&x); }", vec![]),
        ("fn f() { let y = made(); CELL.get_or_init(|| y); }", vec![]),
        ("fn f() { let g = m.lock().unwrap(); xs.iter().for_each(|x| x.apply()); }", vec!["apply"]),
        ("fn f() { let g = m.lock().unwrap(); let h = |x| x.apply(); h(1); }", vec!["h"]),
        ("fn f() { match m.lock() { Ok(g) => a.apply(&x), Err(_) => {} } }", vec!["apply"]),
        ("fn f() { if let Ok(g) = m.lock() { a.apply(&x); } }", vec!["apply"]),
        ("fn f() { let (g, n) = (m.lock().unwrap(), 1); a.apply(&x); }", vec!["apply"]),
    ] {
        let calls: Vec<String> = found("x.rs", &syn::parse_file(text).unwrap());
        let names: Vec<&str> = calls.iter().map(|c| c.rsplit(' ').next().unwrap()).collect();
        assert_eq!(names, want, "{text}");
    }
}

/// Looks for calls within initialisers of once-cells, and behind locks.
struct Held<'n> {
    file: &'n str,
    wrong: Vec<String>,
    /// More than 0 while something is held.
    depth: usize,
}

impl Held<'_> {
    fn called(&mut self, name: String, line: usize) {
        let last = name.rsplit("::").next().unwrap_or(&name).to_string();
        let of_file = HARMLESS_IN.iter().find(|(f, _)| *f == self.file).map_or(&[][..], |(_, names)| *names);
        let known: HashSet<&str> = HARMLESS.iter().chain(of_file).copied().collect();
        if self.depth > 0 && !known.contains(&*name) && !known.contains(&*last) {
            self.wrong.push(format!("{}:{line}: {name}", self.file));
        }
    }

    fn held<R>(&mut self, look: impl FnOnce(&mut Self) -> R) -> R {
        self.depth += 1;
        let result = look(self);
        self.depth -= 1;
        result
    }
}

/// Methods that give a guard.
const LOCKING: &[&str] = &["state", "entries", "all", "section"];

/// Whether an expression gives a guard: a chain that ends with a lock, but for what takes poison out of it.
fn is_guard(e: &syn::Expr) -> bool {
    match e {
        syn::Expr::MethodCall(m) if ["unwrap_or_else", "unwrap"].contains(&&*m.method.to_string()) => {
            is_guard(&m.receiver)
        }
        syn::Expr::MethodCall(m) => {
            let name = m.method.to_string();
            // `self.state()` and the like: methods that only lock.
            let of_self = matches!(&*m.receiver, syn::Expr::Path(p) if p.path.is_ident("self"));
            name == "lock" || of_self && LOCKING.contains(&&*name)
        }
        syn::Expr::Try(t) => is_guard(&t.expr),
        _ => false,
    }
}

/// The names that a statement binds guards to.
fn guards(s: &syn::Stmt) -> Vec<String> {
    let syn::Stmt::Local(l) = s else { return Vec::new() };
    let Some(init) = &l.init else { return Vec::new() };
    let name = |p: &syn::Pat| match p {
        syn::Pat::Ident(i) => i.ident.to_string(),
        // It cannot be dropped by name, and lives to the end of the block.
        _ => "a guard in a pattern".into(),
    };
    match (&l.pat, &*init.expr) {
        (syn::Pat::Wild(_), _) => Vec::new(),
        (syn::Pat::Tuple(names), syn::Expr::Tuple(values)) => {
            let pairs = names.elems.iter().zip(&values.elems);
            pairs.filter(|(_, value)| is_guard(value)).map(|(n, _)| name(n)).collect()
        }
        (pattern, value) if is_guard(value) => vec![name(pattern)],
        _ => Vec::new(),
    }
}

fn is_drop_of(s: &syn::Stmt, name: &str) -> bool {
    let syn::Stmt::Expr(syn::Expr::Call(c), _) = s else { return false };
    let ends = |p: &syn::Expr, n: &str| matches!(p, syn::Expr::Path(p) if p.path.is_ident(n));
    ends(&c.func, "drop") && c.args.first().is_some_and(|a| ends(a, name))
}

impl<'a> Visit<'a> for Held<'_> {
    fn visit_item_mod(&mut self, m: &'a syn::ItemMod) {
        if !is_test(&m.attrs) {
            visit::visit_item_mod(self, m);
        }
    }

    fn visit_block(&mut self, b: &'a syn::Block) {
        let mut guards: Vec<String> = Vec::new();
        let before = self.depth;
        for s in &b.stmts {
            self.visit_stmt(s);
            guards.extend(self::guards(s));
            guards.retain(|g| !is_drop_of(s, g));
            self.depth = before + guards.len();
        }
        self.depth = before;
    }

    fn visit_expr_match(&mut self, m: &'a syn::ExprMatch) {
        self.visit_expr(&m.expr);
        let guard = usize::from(is_guard(&m.expr));
        self.depth += guard;
        m.arms.iter().for_each(|arm| self.visit_arm(arm));
        self.depth -= guard;
    }

    fn visit_expr_if(&mut self, i: &'a syn::ExprIf) {
        self.visit_expr(&i.cond);
        let guard = usize::from(matches!(&*i.cond, syn::Expr::Let(l) if is_guard(&l.expr)));
        self.depth += guard;
        self.visit_block(&i.then_branch);
        i.else_branch.iter().for_each(|(_, e)| self.visit_expr(e));
        self.depth -= guard;
    }

    fn visit_expr_closure(&mut self, c: &'a syn::ExprClosure) {
        // What a closure does that has a name, it does where it is called, and there its name is no harmless one.
        let before = std::mem::take(&mut self.depth);
        visit::visit_expr_closure(self, c);
        self.depth = before;
    }

    fn visit_expr_method_call(&mut self, m: &'a syn::ExprMethodCall) {
        let name = m.method.to_string();
        let line = m.method.span().start().line;
        self.called(name.clone(), line);
        self.visit_expr(&m.receiver);
        let once = ["get_or_init", "call_once"].contains(&&*name);
        for a in &m.args {
            match a {
                syn::Expr::Closure(c) if once => self.held(|h| h.visit_expr(&c.body)),
                syn::Expr::Path(p) if once => {
                    let path = p.path.segments.iter().map(|s| s.ident.to_string()).collect::<Vec<_>>().join("::");
                    self.held(|h| h.called(path, line));
                }
                // Called there and then, as far as anybody can see.
                syn::Expr::Closure(c) => self.visit_expr(&c.body),
                other => self.visit_expr(other),
            }
        }
    }

    fn visit_expr_call(&mut self, c: &'a syn::ExprCall) {
        if let syn::Expr::Path(p) = &*c.func {
            let path = p.path.segments.iter().map(|s| s.ident.to_string()).collect::<Vec<_>>();
            let line = p.path.segments[0].ident.span().start().line;
            let (name, lazy) = (path.join("::"), path.len() > 1 && path[path.len() - 2] == "LazyLock");
            self.called(name, line);
            for a in &c.args {
                match a {
                    syn::Expr::Closure(c) if lazy => self.held(|h| h.visit_expr(&c.body)),
                    syn::Expr::Closure(c) => self.visit_expr(&c.body),
                    other => self.visit_expr(other),
                }
            }
            return;
        }
        visit::visit_expr_call(self, c);
    }
}
