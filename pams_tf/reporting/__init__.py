"""What people read: tables, plots in one style, progress bars. Knows no network."""
