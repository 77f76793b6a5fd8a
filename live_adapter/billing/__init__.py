"""What attempts of the ledger mean in money: charges by the hour, FOCUS rows, invoices, reconciliation, shared costs."""
