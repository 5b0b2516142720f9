-- The first form of the store. Applied files are never edited: a change is a new file with the next number.

-- name: runs
-- One row a run: who may advance it and when it is due. `version` and `head` are those of its journal.
create table runs (
    id          integer primary key,
    run_id      text    not null unique,
    agent       text    not null,
    goal_digest text    not null,
    tenant      text    not null,
    priority    integer not null,
    labels      text    not null,
    status      text    not null,
    waits_for   text    not null default '',
    due_at      real,
    rank        real    not null default 0,
    version     integer not null,
    head        blob    not null,
    fence       integer not null,
    worker      text    not null default '',
    lease_until real    not null default 0,
    created_at  real    not null,
    changed_at  real    not null
) strict;
create index runs_due on runs (due_at) where due_at is not null;
create index runs_changed on runs (changed_at);

-- name: batches
-- The journals. One row a commit: `count` events from number `first` on, as a JSON array, and the link of the chain.
-- Rows of all runs go in at the end of one table, so that a group of commits writes few pages.
create table batches (
    run   integer not null references runs (id),
    first integer not null,
    count integer not null,
    fence integer not null,
    at    real    not null,
    body  blob    not null,
    link  blob    not null
) strict;
create unique index batches_run on batches (run, first);

-- name: contents
-- Large and shared values, once each, by the digest of their content.
create table contents (
    digest text primary key,
    body   blob not null
) strict, without rowid;

-- name: messages
-- Words from outside, kept after they were taken so that a second answer can be told who was first.
create table messages (
    id       integer primary key,
    run      integer not null references runs (id),
    kind     text    not null,
    slot     text,
    body     text    not null,
    at       real    not null,
    taken_at real
) strict;
create unique index messages_slot on messages (run, slot) where slot is not null;
create index messages_open on messages (run) where taken_at is null;

-- name: slots
-- Places that calls of all workers share.
create table slots (
    name text    not null,
    run  integer not null references runs (id),
    step text    not null,
    primary key (name, run, step)
) strict, without rowid;
create index slots_run on slots (run, step);

-- name: workers
create table workers (
    name    text primary key,
    agents  text not null,
    seen_at real not null
) strict, without rowid;

-- name: checkpoints
-- Derived from the journals; may be emptied at any time.
create table checkpoints (
    run     integer primary key references runs (id),
    version integer not null,
    link    blob    not null,
    form    text    not null,
    body    blob    not null
) strict;
