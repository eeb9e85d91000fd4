-- Store requests. One that is there already, or whose id is taken, fails all of them on a unique constraint.
insert into completion_requests ({columns})
values {rows}
