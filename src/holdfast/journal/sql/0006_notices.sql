-- Who the people are, and what they are to be told.

-- name: people
-- roles and tenants are JSON arrays.
create table people (
    name    text primary key,
    roles   text not null,
    mail    text not null,
    tenants text not null
) strict, without rowid;

-- name: notices
-- What is to be told, in the order in which it was committed; body: the Notice as JSON. A number is never given twice.
create table notices (
    number    integer primary key autoincrement,
    id        text    not null unique,
    run_id    text    not null,
    interrupt text    not null,
    at        real    not null,
    body      text    not null
) strict;
create index notices_at on notices (at);
create index notices_run on notices (run_id, at);

-- name: sendings
-- What became of a notice on a channel that claimed it. due_at: when it may be claimed again; null where it was sent or given up.
create table sendings (
    notice  integer not null references notices (number) on delete cascade,
    channel text    not null,
    tries   integer not null,
    due_at  real,
    sent_at real,
    error   text    not null,
    primary key (notice, channel)
) strict, without rowid;
create index sendings_due on sendings (channel, due_at) where due_at is not null;

-- name: channels
-- Up to which number a channel has looked at the notices: what it did not claim of them, it never sends.
create table channels (
    name        text    primary key,
    looked_upto integer not null
) strict, without rowid;
