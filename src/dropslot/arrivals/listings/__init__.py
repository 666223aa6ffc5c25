"""What people see of arrivals and deliveries."""
