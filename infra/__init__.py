"""What `azd up` deploys: the template, and the package of the app."""
